"""What other nodes ask of this one: to take part in what they do, for parts, for word of itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc

from mmsnap.errors import AbortedError, FormatVersionError
from mmsnap.node import bounds
from mmsnap.node.acquaintance import locate_here
from mmsnap.node.callers import names_of
from mmsnap.node.enlistment import PROTOCOL_VERSION
from mmsnap.node.groups import Groups
from mmsnap.node.lent_members import LentMembers
from mmsnap.node.link_door import LinkDoor
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.methods import abort
from mmsnap.node.moving import let_go
from mmsnap.node.replies import engine_number, engine_of, event_reply
from mmsnap.node.roles import require_node
from mmsnap.node.seats import Seat
from mmsnap.node.survey import usage_here
from mmsnap.node.sweep import Sweeper
from mmsnap.node.upkeep import verify_here
from mmsnap.process.whereabouts import decode, encode, note_elsewhere
from mmsnap.rpc import failures
from mmsnap.rpc.v1 import mmsnap_pb2, peer_pb2_grpc
from mmsnap.rpc.v1 import peer_pb2 as pb
from mmsnap.store import PartName, Pieces, pack

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Requests = AsyncIterator[pb.EnlistRequest]


class PeerService(peer_pb2_grpc.PeerServicer):
    """mmsnap.v1.Peer, see peer.proto."""

    def __init__(self, groups: Groups, sweeper: Sweeper, links: LinkDoor) -> None:
        self._groups = groups
        self._sweeper = sweeper
        self._links = links
        self._switchboard = groups.desk.switchboard

    async def Enlist(  # noqa: N802
        self, requests: Requests, context: Context
    ) -> AsyncIterator[pb.EnlistReply]:
        try:
            coordinator = await self._require_node(context)
            opening = (await anext(requests)).open
            _check_version(opening)
            group = self._groups.group(bounds.check_label("group", opening.group))
            async with group.turn(settled=True):
                _require_recorded(group)
                about = group.about(peer=coordinator)
                log.debug("takes part in an operation of another node", extra=about)
                async for reply in self._take_part(group, coordinator):
                    yield reply
        except failures.FAILURES as error:
            await abort(context, error)

    async def Fetch(  # noqa: N802
        self, request: pb.FetchRequest, context: Context
    ) -> AsyncIterator[pb.Piece]:
        try:
            await self._require_node(context)
            part = _part(request.part)
            async for piece in _on_threads(pack(self._groups.desk.pool, part, set(request.have))):
                yield piece
        except failures.FAILURES as error:
            await abort(context, error)

    async def Keep(self, request: pb.KeepRequest, context: Context) -> pb.KeepReply:  # noqa: N802
        try:
            await self._require_node(context)
            replicas = self._groups.desk.replicas
            assert replicas is not None
            # To its end, though nobody may wait for it any more: it writes on threads.
            work = self._groups.run(replicas.fetch(_part(request.part), request.source))
            await asyncio.shield(work)
        except failures.FAILURES as error:
            await abort(context, error)
        return pb.KeepReply()

    async def Verify(  # noqa: N802
        self, request: pb.VerifyRequest, context: Context
    ) -> pb.VerifyReply:
        try:
            await self._require_node(context)
            part = _part(request.part)
            await verify_here(self._groups.group(part.group), part)
        except failures.FAILURES as error:
            await abort(context, error)
        return pb.VerifyReply()

    async def Release(  # noqa: N802
        self, request: pb.ReleaseRequest, context: Context
    ) -> pb.ReleaseReply:
        try:
            await self._require_node(context)
            group = self._groups.group(bounds.check_label("group", request.group))
            await let_go(group, bounds.check_label("member", request.member))
        except failures.FAILURES as error:
            await abort(context, error)
        return pb.ReleaseReply()

    async def Forget(  # noqa: N802
        self, request: pb.ForgetRequest, context: Context
    ) -> pb.ForgetReply:
        try:
            await self._require_node(context)
            self._sweeper.tell(bounds.check_label("group", request.group))
        except failures.FAILURES as error:
            await abort(context, error)
        return pb.ForgetReply()

    async def Locate(  # noqa: N802
        self, request: pb.LocateRequest, context: Context
    ) -> AsyncIterator[pb.Located]:
        try:
            await self._require_node(context)
            group = bounds.check_label("group", request.group)
            members = [bounds.check_label("member", member) for member in request.members]
            pool = self._groups.desk.pool
            for each in await asyncio.to_thread(locate_here, pool, group, members, request.epoch):
                yield pb.Located(whereabouts=encode(each))
        except failures.FAILURES as error:
            await abort(context, error)

    async def Acquaint(  # noqa: N802
        self, requests: AsyncIterator[pb.AcquaintRequest], context: Context
    ) -> pb.AcquaintReply:
        try:
            await self._require_node(context)
            group = bounds.check_label("group", (await anext(requests)).group)
            others = [decode(request.located.whereabouts) async for request in requests]
            await asyncio.to_thread(note_elsewhere, self._groups.desk.pool, group, others)
        except failures.FAILURES as error:
            await abort(context, error)
        return pb.AcquaintReply()

    async def GetUsage(  # noqa: N802
        self, request: mmsnap_pb2.GetUsageRequest, context: Context
    ) -> mmsnap_pb2.GetUsageResponse:
        try:
            await self._require_node(context)
            return await usage_here(self._groups)
        except failures.FAILURES as error:
            await abort(context, error)
            raise

    async def Watch(  # noqa: N802
        self, request: mmsnap_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[mmsnap_pb2.WatchResponse]:
        try:
            await self._require_node(context)
            wanted = bounds.check_optional_group(request.group)
            with self._groups.desk.events.watcher(wanted or "") as watcher:
                yield mmsnap_pb2.WatchResponse()  # from now on nothing is missed
                async for event in watcher.heard():
                    yield event_reply(event, here="")
        except failures.FAILURES as error:
            await abort(context, error)

    async def _require_node(self, context: Context) -> str:
        ledger = self._groups.desk.ledger
        nodes = await ledger.ask(ledger.catalog.nodes)
        return require_node(context.peer(), names_of(context), nodes)

    async def _take_part(self, group: LiveGroup, coordinator: str) -> AsyncIterator[pb.EnlistReply]:
        seats = group.seats.seated()
        with self._links.invitation(coordinator) as invitation:
            yield pb.EnlistReply(
                seats=pb.EnlistedSeats(
                    seats=[_enlisted(seat) for seat in seats],
                    link=pb.LinkOffer(port=self._links.port, token=invitation.token),
                )
            )
            connection = await invitation.accepted()
            tokens = [seat.token for seat in seats]
            lent = LentMembers(group.name, tokens, self._switchboard, connection)
            try:
                await lent.given_back()
            finally:
                group.epoch = max(group.epoch, lent.epoch)
                group.look_again()


async def _on_threads(pieces: Pieces) -> AsyncIterator[pb.Piece]:
    """Piece by piece, each made on a thread; none is being made any more when this is over."""
    making: asyncio.Future[pb.Piece | None] | None = None
    try:
        while True:
            making = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
            piece = await asyncio.shield(making)
            if piece is None:
                return
            yield piece
    finally:
        if making is not None:
            await asyncio.wait([making])
        await asyncio.to_thread(pieces.close)


def _enlisted(seat: Seat) -> pb.EnlistedSeat:
    return pb.EnlistedSeat(
        member=seat.name,
        token=seat.token,
        engine=engine_number(seat.engine),
        incarnation=seat.member.incarnation,
    )


def _part(message: pb.PartName) -> PartName:
    return PartName(
        bounds.check_label("group", message.group),
        bounds.check_label("member", message.member),
        engine_of(message.engine),
        message.epoch,
    )


def _require_recorded(group: LiveGroup) -> None:
    mirror = group.desk.mirror
    if mirror is not None and mirror.is_ahead(group.name):
        raise AbortedError(
            f"group {group.name} was restored while etcd did not answer, and that is not recorded",
            subject=group.name,
        )


def _check_version(opening: pb.EnlistOpen) -> None:
    if opening.protocol_version != PROTOCOL_VERSION:
        raise FormatVersionError(
            f"node {opening.coordinator} speaks version {opening.protocol_version} "
            f"of the protocol, this one {PROTOCOL_VERSION}",
            subject=opening.coordinator,
            hint="bring all nodes to the same version of mmsnap",
        )
