"""Another node's members in an operation of ours: its turn, their orders, their reports.

A remote seat looks like one here: its line takes packets. They go through a gRPC call that lasts as
long as the operation, so a node that is lost loses its members to the operation at once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

import grpc

from mmsnap.catalog import EngineKind
from mmsnap.errors import AbortedError
from mmsnap.group.messages import Report
from mmsnap.node.logs import about
from mmsnap.node.outbox import Outbox
from mmsnap.node.packets import PacketError, decode
from mmsnap.node.replies import engine_of
from mmsnap.node.switchboard import Switchboard
from mmsnap.rpc.failures import error_of
from mmsnap.rpc.v1 import peer_pb2 as pb

log = logging.getLogger(__name__)

PROTOCOL_VERSION: Final = 2
_OPEN_SECONDS: Final = 15.0
# Together as long as a member's lease. They are counted, for this node may have been the one that
# stood still.
_PING_SECONDS: Final = 0.4
_PINGS_UNANSWERED_MAX: Final = 5


class RemoteLine:
    """The line of a member of another node, as a conductor sees it."""

    def __init__(self, enlistment: Enlistment, token: int) -> None:
        self.token = token
        self._enlistment = enlistment

    def send(self, packet: bytes) -> None:
        """On the switchboard's thread."""
        self._enlistment.outbox.put_packet(self.token, packet)

    def end(self, reason: str) -> None:
        """The member comes again."""
        hang_up = pb.HangUp(token=self.token, reason=reason)
        self._enlistment.outbox.put(pb.EnlistRequest(hang_up=hang_up))


@dataclass(frozen=True, slots=True)
class RemoteSeat:
    """A member of another node that is in its seat."""

    name: str
    token: int
    engine: EngineKind
    line: RemoteLine
    home: tuple[str, int]


class Enlistment:
    """One node for one operation. Of one event loop."""

    def __init__(self, node: str, channel: grpc.aio.Channel, switchboard: Switchboard) -> None:
        self.node = node
        self.seats: list[RemoteSeat] = []
        self._group = ""
        self._heard: Report | None = None  # the last one
        self._channel = channel
        self._switchboard = switchboard
        self.outbox = Outbox(lambda packets: pb.EnlistRequest(packets=packets))
        self._unanswered = 0
        self._is_lost = False
        self._call: Any = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, group: str, coordinator: str) -> None:
        """Waits for the node's turn; AbortedError when it can not be had."""
        self._group = group
        method = self._channel.stream_stream(
            "/mmsnap.v1.Peer/Enlist",
            request_serializer=pb.EnlistRequest.SerializeToString,
            response_deserializer=pb.EnlistReply.FromString,
        )
        self._call = method()
        opening = pb.EnlistOpen(
            group=group, coordinator=coordinator, protocol_version=PROTOCOL_VERSION
        )
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._call.write(pb.EnlistRequest(open=opening))
                reply = await self._call.read()
        except (TimeoutError, grpc.RpcError) as error:
            self._call.cancel()
            raise _unreachable(self.node, error) from error
        if reply is grpc.aio.EOF or reply.WhichOneof("what") != "seats":
            self._call.cancel()
            raise _unreachable(self.node, None)
        self.seats = [
            RemoteSeat(
                s.member,
                s.token,
                engine_of(s.engine),
                RemoteLine(self, s.token),
                (self.node, s.incarnation),
            )
            for s in reply.seats.seats
        ]
        self._tasks = [
            asyncio.create_task(self._send_all()),
            asyncio.create_task(self._hear_all()),
        ]
        self._pinging = asyncio.create_task(self._ping_all())

    async def close(self) -> None:
        """The operation is over and everybody was told; the node has its turn again."""
        self._pinging.cancel()
        if self._is_lost:
            self.outbox.put(None)
            await asyncio.gather(*self._tasks, return_exceptions=True)
            return
        self.outbox.put(pb.EnlistRequest(done=pb.EnlistDone()))
        self.outbox.put(None)
        try:
            await asyncio.wait_for(asyncio.gather(*self._tasks), _OPEN_SECONDS)
        except (TimeoutError, grpc.RpcError) as error:
            log.warning("a node did not end its part: %s", error, extra=self._about())
            self._call.cancel()

    async def _send_all(self) -> None:
        try:
            while (message := await self.outbox.take()) is not None:
                await self._call.write(message)
            await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            log.debug("a node hears nothing more: %s", error, extra=self._about())

    async def _ping_all(self) -> None:
        while self._unanswered < _PINGS_UNANSWERED_MAX:
            self._unanswered += 1
            self.outbox.put(pb.EnlistRequest(ping=pb.EnlistPing()))
            await asyncio.sleep(_PING_SECONDS)
        log.warning("a node is silent, and lost to the operation", extra=self._about())
        self._lose_all()
        # It must not take what we say at the end for the outcome: its members were not told.
        self._is_lost = True
        self._call.cancel()

    async def _hear_all(self) -> None:
        try:
            while (reply := await self._call.read()) is not grpc.aio.EOF:
                self._unanswered = 0
                self._hear(reply)
        except grpc.RpcError as error:
            log.warning("a node is lost to the operation: %s", error, extra=self._about())
        self._lose_all()

    def _lose_all(self) -> None:
        for seat in self.seats:
            self._lose(seat.token)

    def _hear(self, reply: pb.EnlistReply) -> None:
        if reply.WhichOneof("what") == "lost":
            self._lose(reply.lost.token)
            return
        reports = []
        for packet in reply.packets.packets:
            try:
                reports.append((packet.token, decode(packet.data)[1]))
            except PacketError as error:
                log.warning("a node sent nonsense: %s", error, extra=self._about())
        if reports:
            self._heard = reports[-1][1]

        def hear() -> None:
            for token, report in reports:
                self._switchboard.hear_remote(token, report)

        self._switchboard.post(hear)

    def _about(self) -> dict[str, str | int]:
        return about(self._group, getattr(self._heard, "epoch", 0), peer=self.node)

    def _lose(self, token: int) -> None:
        self._switchboard.post(lambda: self._switchboard.lose_remote(token))


def _unreachable(node: str, error: Exception | None) -> AbortedError:
    if isinstance(error, grpc.RpcError):
        told = error_of(error, node)
        return AbortedError(
            f"node {node} does not take part: {told}",
            subject=node,
            hint="all nodes with members of the group have to be up; the members run on",
        )
    return AbortedError(
        f"node {node} did not take part in time", subject=node, hint="the members run on; try again"
    )
