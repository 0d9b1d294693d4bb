"""The other nodes, as this one reaches them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc

from mmsnap.errors import AbortedError
from mmsnap.node.enlistment import Enlistment
from mmsnap.node.ledger import Ledger
from mmsnap.node.switchboard import Switchboard
from mmsnap.node.tls import TlsFiles

log = logging.getLogger(__name__)

_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    # A node that vanished without a word is missed after this long.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class Mesh:
    """This node among the others. Of one event loop."""

    def __init__(
        self, name: str, address: str, tls: TlsFiles, ledger: Ledger, switchboard: Switchboard
    ) -> None:
        """`address`: where the others reach this node, as HOST:PORT."""
        self.name = name
        self._address = address
        self._tls = tls
        self._ledger = ledger
        self._switchboard = switchboard
        self._channels: dict[str, tuple[str, grpc.aio.Channel]] = {}

    async def announce(self) -> None:
        """Tells the others where this node is; AbortedError without a catalog."""
        await self._ledger.ask(self._ledger.catalog.put_node, self.name, self._address)

    async def nodes_of(self, group: str) -> list[str]:
        """The nodes that have members of a group, this one always, in their order."""
        rows = await self._ledger.ask(self._ledger.catalog.members, group)
        return sorted({self.name, *(row.node for row in rows)})

    @asynccontextmanager
    async def enlisted(self, node: str, group: str) -> AsyncIterator[Enlistment]:
        """Another node's turn and members; AbortedError when it does not take part."""
        enlistment = Enlistment(node, await self._channel(node), self._switchboard)
        await enlistment.open(group, self.name)
        try:
            yield enlistment
        finally:
            await enlistment.close()

    async def close(self) -> None:
        for _, channel in self._channels.values():
            await channel.close()

    async def _channel(self, node: str) -> grpc.aio.Channel:
        nodes = await self._ledger.ask(self._ledger.catalog.nodes)
        address = nodes.get(node)
        if address is None:
            raise AbortedError(
                f"node {node} is not known", subject=node, hint="start its service again"
            )
        known = self._channels.get(node)
        if known is not None and known[0] == address:
            return known[1]
        if known is not None:
            await known[1].close()
        channel = grpc.aio.secure_channel(address, self._tls.channel(), options=_OPTIONS)
        self._channels[node] = (address, channel)
        return channel
