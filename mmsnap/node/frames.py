"""What two nodes say to each other on a link, as bytes.

A frame is its length, its kind and what the kind needs. All of them are small, so a longer one is
nonsense before it has come. Nothing here knows a socket.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from mmsnap.node.packets import SIZE_BYTES

_HEAD: Final = struct.Struct("<HB")
_TOKEN: Final = struct.Struct("<Q")
_REASON_MAX_BYTES: Final = 150
BODY_MAX_BYTES: Final = max(SIZE_BYTES, _TOKEN.size + _REASON_MAX_BYTES)


class FrameError(ValueError):
    """Bytes that are no frame, or a frame that has no place where it is."""


class _Kind(IntEnum):
    PACKET = 1
    LOST = 2
    HANG_UP = 3
    OVER = 4
    PING = 5
    PONG = 6


_PACKET_HEAD: Final = _HEAD.pack(SIZE_BYTES, _Kind.PACKET)


@dataclass(frozen=True, slots=True)
class Lost:
    """A member of the node that says it is gone."""

    token: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """A member of the node that hears it is to come again."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Over:
    """Everybody was told the outcome; the last thing that a coordinator says."""


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer."""


# Bytes are a packet, a member's order or report: an `mm_message` of mmsnap.h. There are many of
# them while somebody stands still, so nothing is wrapped around them.
Frame = bytes | Lost | HangUp | Over | Ping | Pong


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame."""
    match frame:
        case bytes():
            return _PACKET_HEAD + frame
        case Lost(token):
            return _pack(_Kind.LOST, _TOKEN.pack(token))
        case HangUp(token, reason):
            told = reason.encode()[:_REASON_MAX_BYTES]
            return _pack(_Kind.HANG_UP, _TOKEN.pack(token) + told)
        case Over():
            return _pack(_Kind.OVER)
        case Ping():
            return _pack(_Kind.PING)
        case Pong():
            return _pack(_Kind.PONG)


class FrameStream:
    """Bytes as they come, cut into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole by now; FrameError."""
        rest, start = self._rest + data, 0
        while len(rest) - start >= _HEAD.size:
            length, kind = _HEAD.unpack_from(rest, start)
            if length > BODY_MAX_BYTES:
                raise FrameError(f"a frame of {length} bytes, where {BODY_MAX_BYTES} are the most")
            begin = start + _HEAD.size
            if len(rest) < begin + length:
                break
            start = begin + length
            yield _decode(kind, rest[begin:start])
        self._rest = rest[start:]


def _pack(kind: _Kind, body: bytes = b"") -> bytes:
    return _HEAD.pack(len(body), kind) + body


def _decode(kind: int, body: bytes) -> Frame:
    size = len(body)
    match kind:
        case _Kind.PACKET if size == SIZE_BYTES:
            return body
        case _Kind.LOST if size == _TOKEN.size:
            return Lost(*_TOKEN.unpack(body))
        case _Kind.HANG_UP if size >= _TOKEN.size:
            (token,) = _TOKEN.unpack_from(body)
            return HangUp(token, body[_TOKEN.size :].decode(errors="replace"))
        case _Kind.OVER if not body:
            return Over()
        case _Kind.PING if not body:
            return Ping()
        case _Kind.PONG if not body:
            return Pong()
    raise FrameError(f"no frame of kind {kind} has {size} bytes")
