"""Another node's members in an operation of ours: its turn, their orders, their reports.

A remote seat looks like one here: its line takes packets. The gRPC call that asks for the turn
lasts as long as the operation, but packets go over a link of their own, past every event loop. When
either of the two breaks, the node loses its members to the operation at once.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from typing import Any, Final

import grpc

from mmsnap.catalog import EngineKind
from mmsnap.errors import AbortedError, BusyError, MmsnapError
from mmsnap.group.messages import Report
from mmsnap.node.frames import Frame, FrameError, HangUp, Lost, Over, Ping, Pong
from mmsnap.node.link import Link
from mmsnap.node.link_door import open_link
from mmsnap.node.link_tls import LinkTls
from mmsnap.node.logs import about
from mmsnap.node.packets import decode
from mmsnap.node.replies import engine_of
from mmsnap.node.switchboard import Switchboard
from mmsnap.rpc.failures import error_of
from mmsnap.rpc.v1 import peer_pb2 as pb

log = logging.getLogger(__name__)

PROTOCOL_VERSION: Final = 3
_OPEN_SECONDS: Final = 15.0
# Together as long as a member's lease. They are counted, for this node may have been the one that
# stood still.
_PING_SECONDS: Final = 0.4
_PINGS_UNANSWERED_MAX: Final = 5


class RemoteLine:
    """The line of a member of another node, as a conductor sees it. Of the switchboard's thread."""

    distant: Final = True

    def __init__(self, link: Link, token: int) -> None:
        self.token = token
        self._link = link

    def send(self, packet: bytes) -> None:
        """With the next `flush`, or when the thread has nothing else to do."""
        self._link.send(packet)

    def flush(self) -> None:
        """Also what was given to others of its node."""
        self._link.flush()

    def end(self, reason: str) -> None:
        """The member comes again."""
        self._link.send(HangUp(self.token, reason))


@dataclass(frozen=True, slots=True)
class RemoteSeat:
    """A member of another node that is in its seat."""

    name: str
    token: int
    engine: EngineKind
    line: RemoteLine
    home: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Destination:
    """Another node: its name, where it is, and how it is spoken to."""

    node: str
    host: str
    channel: grpc.aio.Channel
    tls: LinkTls


class Enlistment:
    """One node for one operation. Of one event loop, but for what is heard on the link."""

    def __init__(self, to: Destination, switchboard: Switchboard) -> None:
        self.node = to.node
        self.seats: list[RemoteSeat] = []
        self._to = to
        self._group = ""
        self._heard: Report | None = None  # the last one
        self._switchboard = switchboard
        self._tokens: frozenset[int] = frozenset()
        self._unanswered = 0
        self._closing = False
        self._loop = asyncio.get_running_loop()

    async def open(self, group: str, coordinator: str) -> None:
        """Waits for the node's turn; AbortedError when it can not be had."""
        self._group = group
        method = self._to.channel.stream_stream(
            "/mmsnap.v1.Peer/Enlist",
            request_serializer=pb.EnlistRequest.SerializeToString,
            response_deserializer=pb.EnlistReply.FromString,
        )
        self._call: Any = method()
        opening = pb.EnlistOpen(
            group=group, coordinator=coordinator, protocol_version=PROTOCOL_VERSION
        )
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._call.write(pb.EnlistRequest(open=opening))
                reply: Any = await self._call.read()
            if reply is grpc.aio.EOF or reply.WhichOneof("what") != "seats":
                raise TimeoutError
            offer = reply.seats.link
            connection = await open_link(
                self._to.host, offer.port, offer.token, self.node, self._to.tls
            )
        except BaseException as error:
            self._call.cancel()
            if isinstance(error, (grpc.RpcError, OSError, MmsnapError)):
                raise _unreachable(self.node, error) from error
            raise
        self._join(connection, reply.seats)

    async def close(self) -> None:
        """The operation is over and everybody was told; the node has its turn again."""
        self._pinging.cancel()
        self._switchboard.post(self._say_over)
        # It ends the call when it has heard it.
        ended, _ = await asyncio.wait({self._watching}, timeout=_OPEN_SECONDS)
        if not ended:
            log.warning("a node did not end its part", extra=self._about())
            self._call.cancel()
        self._switchboard.post(lambda: self._link.end("it is over"))

    def _join(self, connection: ssl.SSLSocket, seats: pb.EnlistedSeats) -> None:
        self._link = Link(connection, self._hear, self._broke)
        self.seats = [
            RemoteSeat(
                s.member,
                s.token,
                engine_of(s.engine),
                RemoteLine(self._link, s.token),
                (self.node, s.incarnation),
            )
            for s in seats.seats
        ]
        self._tokens = frozenset(seat.token for seat in self.seats)
        self._switchboard.post(lambda: self._switchboard.join(self._link))
        self._watching = asyncio.create_task(self._watch_call())
        self._pinging = asyncio.create_task(self._ping_all())

    async def _watch_call(self) -> None:
        """Until it ends, which says that the node has no part in this any more."""
        try:
            reply = await self._call.read()
            reason = "it ended the call" if reply is grpc.aio.EOF else "it said more than it should"
        except grpc.RpcError as error:
            reason = str(error_of(error, self.node))
        except asyncio.CancelledError:
            reason = "the call was given up"
        self._switchboard.post(lambda: self._link.end(reason))

    async def _ping_all(self) -> None:
        while self._unanswered < _PINGS_UNANSWERED_MAX:
            self._unanswered += 1
            self._switchboard.post(lambda: self._link.send(Ping()))
            await asyncio.sleep(_PING_SECONDS)
        self._switchboard.post(lambda: self._link.end("it is silent"))

    # ---- on the switchboard's thread ----

    def _hear(self, frame: Frame) -> None:
        self._unanswered = 0
        match frame:
            case bytes():
                token, report = decode(frame)
                if token not in self._tokens:
                    raise FrameError("a report of no member of its own")
                self._heard = report
                self._switchboard.hear_remote(token, report)
            case Lost(token) if token in self._tokens:
                self._switchboard.lose_remote(token)
            case Pong():
                pass
            case _:
                raise FrameError(f"{type(frame).__name__} is not for a node to say that takes part")

    def _say_over(self) -> None:
        self._closing = True
        self._link.send(Over())

    def _broke(self, reason: str) -> None:
        if self._closing:
            return
        log.warning("a node is lost to the operation: %s", reason, extra=self._about())
        for seat in self.seats:
            self._switchboard.lose_remote(seat.token)
        # It must not take what we say at the end for the outcome: its members were not told.
        self._loop.call_soon_threadsafe(self._call.cancel)

    def _about(self) -> dict[str, str | int]:
        return about(self._group, getattr(self._heard, "epoch", 0), peer=self.node)


def _unreachable(node: str, error: Exception) -> AbortedError:
    if isinstance(error, TimeoutError):
        return AbortedError(
            f"node {node} did not take part in time",
            subject=node,
            hint="the members run on; try again",
        )
    told = error_of(error, node) if isinstance(error, grpc.RpcError) else error
    kind = BusyError if isinstance(told, BusyError) else AbortedError
    return kind(
        f"node {node} does not take part: {told}",
        subject=node,
        hint="all nodes with members of the group have to be up, and to reach each other; "
        "the members run on",
    )
