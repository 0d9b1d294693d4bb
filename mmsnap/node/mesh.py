"""The other nodes, as this one reaches them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mmsnap.catalog import no_node
from mmsnap.errors import AbortedError, AgentUnavailableError, MmsnapError
from mmsnap.node.enlistment import Destination, Enlistment
from mmsnap.node.ledger import Ledger
from mmsnap.node.link_door import host_of
from mmsnap.node.link_tls import LinkTls
from mmsnap.node.replies import engine_number
from mmsnap.node.switchboard import Switchboard
from mmsnap.node.tls import TlsFiles
from mmsnap.process.whereabouts import Whereabouts, decode, encode
from mmsnap.rpc.failures import Failure, error_of
from mmsnap.rpc.v1 import peer_pb2 as pb
from mmsnap.rpc.v1 import peer_pb2_grpc
from mmsnap.store import PartName

log = logging.getLogger(__name__)

# No piece of a part for so long: it will not come.
_SILENCE_SECONDS: Final = 30.0
_TELL_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 5.0
_FACTS_SECONDS: Final = 15.0
_CLOSING_SECONDS: Final = 600.0
_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    # A node that vanished without a word is missed after this long.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    # One whose machine answers and whose service does not; and as often while nothing else is said.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This is how long an attempt may take, on a busy machine too.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

# Where a channel leads, and what this node shows there.
_End = tuple[str, tuple[bytes, bytes, bytes]]


class Mesh:
    """This node among the others. Of one event loop."""

    def __init__(
        self, name: str, address: str, tls: TlsFiles, ledger: Ledger, switchboard: Switchboard
    ) -> None:
        """`address`: where the others reach this node, as HOST:PORT."""
        self.name = name
        self._address = address
        self._tls = tls
        self._links = LinkTls(tls)
        self._ledger = ledger
        self._switchboard = switchboard
        self._channels: dict[str, tuple[_End, grpc.aio.Channel]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()

    async def announce(self) -> None:
        """Tells the others where this node is; AbortedError without a catalog."""
        await self._ledger.ask(self._ledger.catalog.put_node, self.name, self._address)

    async def nodes_of(self, group: str) -> list[str]:
        """The nodes that have members of a group, this one always, in their order."""
        return sorted({self.name, *await self.nodes_with_members(group)})

    async def nodes_with_members(self, group: str) -> list[str]:
        """The nodes that have members of a group and are not down, in their order."""
        rows = await self._ledger.ask(self._ledger.catalog.members, group)
        nodes = await self._ledger.ask(self._ledger.catalog.nodes)
        down = {node.name for node in nodes.values() if node.down}
        return sorted({row.node for row in rows if row.node not in down})

    async def others(self) -> list[str]:
        """The names of all other nodes, in their order; AbortedError without a catalog."""
        return sorted(set(await self._ledger.ask(self._ledger.catalog.nodes)) - {self.name})

    async def stub(self, node: str) -> peer_pb2_grpc.PeerStub:
        """The methods of another node; AbortedError when it is not known."""
        channel = await self._channel(node)
        return peer_pb2_grpc.PeerStub(channel)  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def enlisted(self, node: str, group: str) -> AsyncIterator[Enlistment]:
        """Another node's turn and members; AbortedError when it does not take part."""
        channel = await self._channel(node)
        (address, _), _ = self._channels[node]
        host = host_of(address)
        enlistment = Enlistment(Destination(node, host, channel, self._links), self._switchboard)
        await enlistment.open(group, self.name)
        try:
            yield enlistment
        finally:
            await enlistment.close()

    async def fetch(
        self, node: str, part: PartName, have: Collection[int]
    ) -> AsyncIterator[pb.Piece]:
        """What a node has of a part, for a pool that has these epochs of the member."""
        request = pb.FetchRequest(part=part_message(part), have=sorted(have))
        call = (await self.stub(node)).Fetch(request)
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    piece = await call.read()
                if not isinstance(piece, pb.Piece):
                    return
                yield piece
        except grpc.RpcError as error:
            raise _told(error, node) from error
        except TimeoutError as error:
            raise AgentUnavailableError(f"node {node} sends nothing", subject=node) from error
        finally:
            call.cancel()

    async def keep(self, node: str, part: PartName, source: str) -> None:
        """Has a node keep a copy of what another one has; what `Replicas.fetch` raises there."""
        request = pb.KeepRequest(part=part_message(part), source=source)
        await _answer((await self.stub(node)).Keep(request), node)

    async def verify(self, node: str, part: PartName) -> None:
        """Has a node check what it has of a part; CorruptionError, NotFoundError."""
        request = pb.VerifyRequest(part=part_message(part))
        await _answer((await self.stub(node)).Verify(request), node)

    async def locate(
        self, node: str, group: str, members: Sequence[str], epoch: int
    ) -> list[Whereabouts]:
        """Where programs of a node are, and what their parts of a checkpoint were connected to."""
        call = (await self.stub(node)).Locate(
            pb.LocateRequest(group=group, epoch=epoch, members=members), timeout=_FACTS_SECONDS
        )
        try:
            return [decode(located.whereabouts) async for located in call]
        except grpc.RpcError as error:
            raise _told(error, node) from error

    async def acquaint(self, node: str, group: str, others: Sequence[Whereabouts]) -> None:
        """Tells a node's programs of a group where those of all other nodes are."""
        requests = [
            pb.AcquaintRequest(group=group),
            *(pb.AcquaintRequest(located=pb.Located(whereabouts=encode(o))) for o in others),
        ]
        call = (await self.stub(node)).Acquaint(iter(requests), timeout=_FACTS_SECONDS)
        await _answer(call, node)

    async def answers(self, node: str) -> bool:
        """Whether its service says anything; NotFoundError for an unknown node."""
        nodes = await self._ledger.ask(self._ledger.catalog.nodes)
        if node not in nodes:
            raise no_node(node)
        health = health_pb2_grpc.HealthStub(await self._channel(node))
        check = health_pb2.HealthCheckRequest()
        try:
            call = health.Check(check, timeout=_ANSWER_SECONDS)  # type: ignore[attr-defined]
            await _answer(call, node)
        except AgentUnavailableError:
            return False
        return True

    async def release(self, node: str, group: str, member: str) -> None:
        """Has a node let a member go; InUseError while it is attached there."""
        request = pb.ReleaseRequest(group=group, member=member)
        call = (await self.stub(node)).Release(request, timeout=_ANSWER_SECONDS)
        await _answer(call, node)

    def tell_forgotten(self, group: str) -> None:
        """Tells every other node that the catalog forgot checkpoints, and waits for none of them.

        Who does not hear of it finds out when it looks by itself.
        """
        task = asyncio.create_task(self._tell_forgotten(group))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        for task in (*self._telling, *self._closing):
            task.cancel()
        for _, channel in self._channels.values():
            await channel.close()

    async def _tell_forgotten(self, group: str) -> None:
        try:
            others = await self.others()
        except MmsnapError as error:
            log.info("nobody was told what group %s forgot: %s", group, error)
            return
        await asyncio.gather(*(self._tell_one(node, group) for node in others))

    async def _tell_one(self, node: str, group: str) -> None:
        try:
            request = pb.ForgetRequest(group=group)
            await _answer((await self.stub(node)).Forget(request, timeout=_TELL_SECONDS), node)
        except MmsnapError as error:
            log.info("node %s was not told what group %s forgot: %s", node, group, error)

    async def _channel(self, node: str) -> grpc.aio.Channel:
        nodes = await self._ledger.ask(self._ledger.catalog.nodes)
        if node not in nodes:
            raise AbortedError(
                f"node {node} is not known", subject=node, hint="start its service again"
            )
        # A certificate that was renewed is for new connections: the old one will be over.
        end = (nodes[node].address, self._tls.read())
        known = self._channels.get(node)
        if known is not None and known[0] == end:
            return known[1]
        if known is not None:
            self._close_later(known[1])
        channel = grpc.aio.secure_channel(end[0], self._tls.channel(), options=_OPTIONS)
        self._channels[node] = (end, channel)
        return channel

    def _close_later(self, channel: grpc.aio.Channel) -> None:
        """When what is under way has ended."""
        closing = asyncio.create_task(channel.close(_CLOSING_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def part_message(part: PartName) -> pb.PartName:
    """As the wire has it."""
    return pb.PartName(
        group=part.group, member=part.member, engine=engine_number(part.engine), epoch=part.epoch
    )


async def _answer(call: Any, node: str) -> Any:
    """What a node answers; the error that it means when it refuses, or does not answer."""
    try:
        return await call
    except grpc.RpcError as error:
        raise _told(error, node) from error


def _told(error: grpc.RpcError, node: str) -> MmsnapError:
    """What the node said; what is none of our errors there is none here."""
    told: Failure = error_of(error, node)
    return told if isinstance(told, MmsnapError) else MmsnapError(f"node {node}: {told}")
