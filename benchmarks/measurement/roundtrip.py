"""How long an order to a member of another node takes, until its answer is back.

It goes the way of every order of a cut: over the link of mutual TLS that a node has to another one,
that node's thread for its members and the member's socket. The member refuses it at
once. So a round trip has no work in it, and everything else that a barrier has.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from pathlib import Path
from typing import Any, Final

import grpc

import mmsnap
from measurement.unbarred import NOBODYS_EPOCH
from mmsnap.group.messages import Cut
from mmsnap.node.enlistment import PROTOCOL_VERSION
from mmsnap.node.frames import Frame, Over
from mmsnap.node.link import Link
from mmsnap.node.link_door import open_link
from mmsnap.node.link_tls import LinkTls
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

    def __init__(self, host: Host, node: str, tls: Path, target: str, there: str) -> None:
        """`node` is who asks, `there` whose certificate is at the target."""
        host.enter()
        self._node = node
        self._there = there
        self._target = target
        self._heard: list[Frame | str] = []
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect(tls, target))

    def open(self) -> None:
        """Takes the turn of the echo's group; not for long, a silent node loses it."""
        self._loop.run_until_complete(self._open())

    def ask(self, times: int) -> list[int]:
        """Nanoseconds of so many round trips, one after the other."""
        taken = []
        for _ in range(times):
            begun = time.perf_counter_ns()
            self._link.send(self._request)
            self._link.flush()
            self._await_frame()
            taken.append(time.perf_counter_ns() - begun)
        return taken

    def close(self) -> None:
        """Gives the turn back."""
        self._link.send(Over())
        self._link.flush()
        self._loop.run_until_complete(self._end())

    async def _connect(self, tls: Path, target: str) -> None:
        files = TlsFiles(tls / "ca.crt", tls / "tls.crt", tls / "tls.key")
        self._tls = LinkTls(files)
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
        seats = reply.seats
        host, _, _ = self._target.rpartition(":")
        connection = await open_link(
            host, seats.link.port, seats.link.token, self._there, self._tls
        )
        self._link = Link(connection, self._heard.append, self._heard.append)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._link, selectors.EVENT_READ)
        token = seats.seats[0].token
        self._request = encode(Cut(NOBODYS_EPOCH, 0, 0), token)
        self.ask(_WARMING)

    def _await_frame(self) -> None:
        self._heard.clear()
        while not self._heard:
            assert not self._link.broken, self._link.broken
            self._selector.select()
            self._link.receive()

    async def _end(self) -> None:
        while await self._call.read() is not grpc.aio.EOF:
            pass
        self._selector.close()
        self._link.close()
