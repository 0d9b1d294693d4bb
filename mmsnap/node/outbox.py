"""Messages for another node, from any thread to the event loop that writes them.

A message costs a node several changes of thread, and a packet in it next to nothing. So packets
that wait together go together, which in a cut are those of all members of a node.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from mmsnap.rpc.v1 import peer_pb2 as pb

Message = TypeVar("Message")


class Outbox(Generic[Message]):
    """In the order in which they are put. Made and emptied by one event loop."""

    def __init__(self, gather: Callable[[pb.MemberPackets], Message]) -> None:
        """`gather` makes a message of packets."""
        self._gather = gather
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[pb.MemberPacket | Message | None] = deque()
        self._something = asyncio.Event()
        self._woken = False

    def put(self, message: Message | None) -> None:
        """From any thread; None: it was the last."""
        self._add(message)

    def put_packet(self, token: int, data: bytes) -> None:
        """From any thread."""
        self._add(pb.MemberPacket(token=token, data=data))

    async def take(self) -> Message | None:
        """Waits for the next message."""
        while not self._waiting:
            await self._something.wait()
            self._something.clear()
            self._woken = False  # before looking: who adds from now on wakes us again
        first = self._waiting.popleft()
        if not isinstance(first, pb.MemberPacket):
            return first
        packets = [first]
        while self._waiting and isinstance(following := self._waiting[0], pb.MemberPacket):
            packets.append(following)
            self._waiting.popleft()
        return self._gather(pb.MemberPackets(packets=packets))

    def _add(self, item: pb.MemberPacket | Message | None) -> None:
        self._waiting.append(item)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._something.set)
