"""How long an order to a member of another node takes, until its answer is back.

It goes the way of every order of a cut: through the stream of mutual TLS that a node opens to
another one, that node's thread for its members and the member's socket. The member refuses it at
once. So a round trip has no work in it, and everything else that a barrier has.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import grpc

import mmsnap
from measurement.unbarred import NOBODYS_EPOCH
from mmsnap.group.messages import Cut
from mmsnap.node.enlistment import PROTOCOL_VERSION
from mmsnap.node.packets import encode
from mmsnap.node.tls import TlsFiles
from mmsnap.rpc.v1 import peer_pb2 as pb
from tests.nodes.hosts import Host

GROUP: Final = "echo"
_WARMING: Final = 5


class Echo:
    """A process whose only member has nothing to do."""

    def __init__(self, address: str) -> None:
        self._app = mmsnap.attach(GROUP, "echo", size="16MiB", address=address)


class Asker:
    """A process on a host, with the certificate of its node, that asks the echo of another one."""

    def __init__(self, host: Host, node: str, tls: Path, target: str) -> None:
        host.enter()
        self._node = node
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect(tls, target))

    def open(self) -> None:
        """Takes the turn of the echo's group; not for long, a silent node loses it."""
        self._loop.run_until_complete(self._open())

    def ask(self, times: int) -> list[int]:
        """Nanoseconds of so many round trips, one after the other."""
        return self._loop.run_until_complete(self._ask(times))

    def close(self) -> None:
        """Gives the turn back."""
        self._loop.run_until_complete(self._close())

    async def _connect(self, tls: Path, target: str) -> None:
        files = TlsFiles(tls / "ca.crt", tls / "tls.crt", tls / "tls.key")
        channel = grpc.aio.secure_channel(target, files.channel())
        self._enlist = channel.stream_stream(
            "/mmsnap.v1.Peer/Enlist",
            request_serializer=pb.EnlistRequest.SerializeToString,
            response_deserializer=pb.EnlistReply.FromString,
        )

    async def _open(self) -> None:
        self._call: Any = self._enlist()
        opening = pb.EnlistOpen(
            group=GROUP, coordinator=self._node, protocol_version=PROTOCOL_VERSION
        )
        await self._call.write(pb.EnlistRequest(open=opening))
        reply: Any = await self._call.read()
        token = reply.seats.seats[0].token
        packet = pb.MemberPacket(token=token, data=encode(Cut(NOBODYS_EPOCH, 0, 0), token))
        self._request = pb.EnlistRequest(packets=pb.MemberPackets(packets=[packet]))
        await self._ask(_WARMING)

    async def _ask(self, times: int) -> list[int]:
        taken = []
        for _ in range(times):
            begun = time.perf_counter_ns()
            await self._call.write(self._request)
            while (await self._call.read()).WhichOneof("what") != "packets":
                pass
            taken.append(time.perf_counter_ns() - begun)
        return taken

    async def _close(self) -> None:
        await self._call.write(pb.EnlistRequest(done=pb.EnlistDone()))
        await self._call.done_writing()
        while await self._call.read() is not grpc.aio.EOF:
            pass
