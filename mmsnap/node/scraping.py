"""Where Prometheus asks for the metrics: an HTTP server on threads of its own.

The event loop answers none of it, apart from the question who is there, which has a second. This
speaks plain HTTP to whoever reaches it and knows no roles: what it tells has no names in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from prometheus_client import start_http_server

from mmsnap.errors import MmsnapError
from mmsnap.node.groups import Groups
from mmsnap.node.metrics import Metrics
from mmsnap.node.ports import refusal

_MEMBERS_SECONDS: Final = 1.0


class MetricsServer:
    """Serves the metrics from when it is made until it is stopped."""

    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        """InUseError when the port is taken, UnsupportedError when it can not be had at all."""
        at = f"{host}:{port}"
        try:
            self._server, self._thread = start_http_server(port, host, metrics.registry)
        except OSError as error:
            raise refusal("metrics", at, "--metrics", error) from error

    def stop(self) -> None:
        """Serves nothing more. Blocks for half a second at most."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MembersNow:
    """Counts the members of this node, asked from another thread than the event loop's."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> Mapping[str, int] | None:
        """How many are in which state; None while that can not be told."""
        asking = asyncio.run_coroutine_threadsafe(self._count(), self._loop)
        try:
            return asking.result(2 * _MEMBERS_SECONDS)
        except (TimeoutError, MmsnapError):
            asking.cancel()
            return None

    async def _count(self) -> Mapping[str, int]:
        async with asyncio.timeout(_MEMBERS_SECONDS):
            return await self._groups.states()
