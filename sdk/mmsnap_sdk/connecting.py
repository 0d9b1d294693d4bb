"""How clients reach the node service: its address, certificates, and what they hear meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import grpc

from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.quantities import parse_duration
from mmsnap.rpc.addresses import default_address, remote_target, socket_path, tls_folder
from mmsnap_sdk.service_records import (
    GroupCheckpoint,
    Progress,
)

Heard = Callable[[Progress], None]

OPTIONS: Final = (
    # The socket is local: a proxy from the environment has no business with it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
    # A service that is gone without a word, or stands still, is missed after this long, and not
    # after the day that a call may take.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A service that was restarted is found again at once, not after minutes of backing off.
    ("grpc.initial_reconnect_backoff_ms", 50),
    # This is how long an attempt may take: a busy machine is no reason to give up.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def find_address(address: str | None = None) -> str:
    """The service's address: the given one, $MMSNAP_ADDRESS, or the default Unix socket.

    Raises:
        ValueError: it is neither like unix:///path nor like tls://host:port.
    """
    wanted = address or default_address()
    return wanted if remote_target(wanted) else f"unix://{socket_path(wanted)}"


def credentials() -> grpc.ChannelCredentials:
    folder = tls_folder()
    try:
        authority, certificate, key = (
            (folder / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key")
        )
    except OSError as error:
        raise NotFoundError(
            f"the certificate {error.filename} can not be read: {error.strerror}",
            subject=str(error.filename),
        ) from error
    return grpc.ssl_channel_credentials(authority, key, certificate)


def ns_of(duration: timedelta | str | None) -> int:
    return 0 if duration is None else parse_duration(duration)


class Hearing:
    """Tells steps of a checkpoint to whom they interest, and keeps how it ended."""

    def __init__(self, progress: Heard | None) -> None:
        self._progress = progress
        self._committed: GroupCheckpoint | None = None

    def __call__(self, step: Progress | GroupCheckpoint) -> None:
        if isinstance(step, GroupCheckpoint):
            self._committed = step
        elif self._progress is not None:
            self._progress(step)

    @property
    def committed(self) -> GroupCheckpoint:
        if self._committed is None:
            raise MmsnapError("the service ended a checkpoint without a result")
        return self._committed
