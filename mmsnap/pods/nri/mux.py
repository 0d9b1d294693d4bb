"""Several connections over one socket: each frame is a connection's number and its bytes.

Nothing is said to open or to close a connection: both ends know the numbers. Here a connection is a
function that takes the bytes which came, and one that sends. What the bytes mean is not looked at.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Final

from mmsnap.pods.nri.framing import Splitter

PLUGIN_CONNECTION: Final = 1  # where containerd calls us
RUNTIME_CONNECTION: Final = 2  # where we call containerd

# The longest that containerd writes: one message of ttrpc with its header.
MAX_PAYLOAD_BYTES: Final = (4 << 20) + 10

# containerd reads a whole frame at once into what its reader has room for: so much at the beginning
# of a message, all the rest after it; a longer first frame breaks the connection. It also breaks
# when 256 frames wait, so that cutting everything this small would be no better.
FIRST_FRAME_BYTES: Final = 4096

_HEADER: Final = struct.Struct(">II")  # connection, length
_READ_BYTES: Final = 1 << 16


def frame(connection: int, payload: bytes) -> bytes:
    """One frame, header first."""
    return _HEADER.pack(connection, len(payload)) + payload


def frames_of_message(connection: int, message: bytes) -> bytes:
    """The frames of one message, cut so that containerd can read them."""
    head, rest = message[:FIRST_FRAME_BYTES], message[FIRST_FRAME_BYTES:]
    return frame(connection, head) + (frame(connection, rest) if rest else b"")


def frame_splitter() -> Splitter:
    """Cuts what comes over the socket into frames; `connection_of` reads their headers."""
    return Splitter(_HEADER.size, lambda header: _HEADER.unpack(header)[1], MAX_PAYLOAD_BYTES)


def connection_of(header: bytes) -> int:
    """The number of the connection that a frame belongs to."""
    number: int = _HEADER.unpack(header)[0]
    return number


class Mux:
    """The connections of one socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._receivers: dict[int, Callable[[bytes], None]] = {}

    def sender(self, connection: int) -> Callable[[bytes], None]:
        """What sends a message over a connection."""
        return lambda message: self._writer.write(frames_of_message(connection, message))

    def receive_with(self, connection: int, receiver: Callable[[bytes], None]) -> None:
        """Has what comes over a connection given to `receiver`, in pieces of any size."""
        self._receivers[connection] = receiver

    async def run(self) -> None:
        """Hands out what comes until the peer closes.

        Raises:
            ProtocolError: by the frames, or by a receiver.
        """
        splitter = frame_splitter()
        while data := await self._reader.read(_READ_BYTES):
            for header, payload in splitter.feed(data):
                if receiver := self._receivers.get(connection_of(header)):
                    receiver(payload)
            # Who sends and does not read is not read from either, or answers would gather without
            # end.
            await self._writer.drain()
