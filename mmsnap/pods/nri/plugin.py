"""Keeps the connection with containerd: connects, connects again, and says how it stands.

A container that is created while there is no connection is started as it is: containerd waits for
nobody who is not there. So that such a container is not forgotten, it is told of when the
connection is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from mmsnap.pods.nri.lending import lend_userfaultfd
from mmsnap.pods.nri.nri_pb2 import Container, PodSandbox
from mmsnap.pods.nri.session import Lend, Missed, Session, SessionError, Wrap
from mmsnap.pods.nri.wrapping import wrap_named

log = logging.getLogger(__name__)

DEFAULT_SOCKET: Final = Path("/var/run/nri/nri.sock")

State = Callable[[bool, str], None]

# After a restart of containerd, containers are created at once, so that it is not awaited in ever
# longer steps; to find nobody at a socket costs next to nothing.
_UNREACHABLE_SECONDS: Final = 0.2
# Who is there and does not get on with us is left in peace ever longer.
_FIRST_RETRY_SECONDS: Final = 0.1
_LAST_RETRY_SECONDS: Final = 5.0


class NriPlugin:
    """The node service as a plugin of its node's containerd.

    It shares nothing with its caller, and may run in an event loop and thread of its own:
    containerd drops a plugin that does not answer for two seconds.
    """

    def __init__(
        self,
        socket: Path = DEFAULT_SOCKET,
        wrap: Wrap = wrap_named,
        *,
        lend: Lend = lend_userfaultfd,
        on_state: State | None = None,
        on_missed: Missed | None = None,
    ) -> None:
        """
        Args:
            wrap: what a container's arguments are to be, or None for as they are. It must not wait;
                where it raises, the container is left as it is.
            lend: the device that a container gets; the same holds for it.
            on_state: called when the connection comes or goes, and when the reason for its absence
                is another one, with whether it is there and a sentence for people.
            on_missed: called for each running container that would have been wrapped, had the
                connection been there when it was created.
        """
        self._socket = socket
        self._wrap = wrap
        self._lend = lend
        self._on_state = on_state
        self._on_missed = on_missed
        self._told: tuple[bool, str] | None = None
        self._retry_seconds = _FIRST_RETRY_SECONDS

    async def run(self) -> NoReturn:
        """Serves until cancelled."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._socket)
            except OSError as error:
                self._tell(False, self._why_unreachable(error))
                await asyncio.sleep(_UNREACHABLE_SECONDS)
                continue
            await self._serve(reader, writer)
            await asyncio.sleep(self._retry_seconds)
            self._retry_seconds = min(2 * self._retry_seconds, _LAST_RETRY_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await Session(reader, writer, self._wrap, self._lend, self._miss).run(self._tell)
        except SessionError as error:
            self._tell(False, str(error))
        except Exception as error:
            log.exception("the NRI plugin failed, and goes on")
            self._tell(False, f"the plugin failed: {error!r}")
        finally:
            writer.transport.abort()
        # Only after one that held: a connection that is dropped at once is not made anew in haste.
        if clock() - began > _LAST_RETRY_SECONDS:
            self._retry_seconds = _FIRST_RETRY_SECONDS

    def _why_unreachable(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            return f"{self._socket} is not there: no containerd, or one that has NRI disabled"
        if isinstance(error, ConnectionRefusedError):
            return f"nobody listens at {self._socket}: containerd is down"
        return f"{self._socket}: {error.strerror or error}"

    def _tell(self, connected: bool, reason: str) -> None:
        if (connected, reason) == self._told:
            return
        self._told = connected, reason
        if connected:
            log.info("NRI is on: %s", reason)
        else:
            log.warning("NRI is off, commands of images are not wrapped: %s", reason)
        if self._on_state is not None:
            try:
                self._on_state(connected, reason)
            except Exception:
                log.exception("telling how it stands with NRI")

    def _miss(self, pod: PodSandbox, container: Container) -> None:
        log.warning(
            "%s of %s/%s was created while NRI was off: it stays unwrapped until it is made anew",
            container.name, pod.namespace, pod.name,
        )  # fmt: skip
        if self._on_missed is not None:
            self._on_missed(pod, container)
