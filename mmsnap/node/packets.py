"""The members' messages as bytes: `mm_message` of native/include/mmsnap.h.

One message a packet, little-endian, of fixed size. Nothing here knows a socket.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from mmsnap.group import messages as m
from mmsnap.group.messages import Kind, Order, Report

_FORMAT: Final = struct.Struct("<IHHQQQ8Q96s")
_HEADING: Final = struct.Struct("<IHHQQ")
_TOKEN: Final = struct.Struct("<Q")
_TOKEN_AT: Final = _HEADING.size - _TOKEN.size
_MAGIC: Final = 0x31534D4D  # "MMS1"
SIZE_BYTES: Final = _FORMAT.size
TEXT_MAX_BYTES: Final = 95
_AUTOMATIC: Final = 1  # MM_CHECKPOINT_AUTOMATIC
_UNASKED: Final = 1 << 16  # MM_BEGIN_UNASKED


class PacketError(ValueError):
    """Bytes that are no message of a member."""


def encode(order: Order, token: int) -> bytes:
    """The packet of an order to the member that holds `token`."""
    match order:
        case m.Welcome():
            return pack(Kind.WELCOME, token)
        case m.Begin():
            flags = _AUTOMATIC * order.automatic | _UNASKED * order.unasked
            words = (flags, order.hook_budget_ns, order.max_pause_ns)
            return pack(Kind.BEGIN, token, order.epoch, words=words, text=order.name)
        case m.Quiesce():
            words = (order.update_timeout_ns, int(order.cut), order.max_pause_ns)
            return pack(Kind.QUIESCE, token, order.epoch, order.lease_ns, words)
        case m.Cut():
            return pack(Kind.CUT, token, order.epoch, order.lease_ns, (order.max_pause_ns,))
        case m.Check():
            return pack(Kind.CHECK, token, order.epoch, words=(order.target,))
        case m.Restore():
            which = order.target, order.generation
            return pack(Kind.RESTORE, token, order.epoch, order.lease_ns, which)
        case m.Renew():
            return pack(Kind.RENEW, token, order.epoch, order.lease_ns)
        case m.Resume():
            return pack(Kind.RESUME, token, order.epoch)
        case m.Commit():
            return pack(Kind.COMMIT, token, order.epoch)
        case m.Abort():
            return pack(Kind.ABORT, token, order.epoch)
        case m.Delete():
            return pack(Kind.DELETE, token, words=(order.target,))
        case m.Pin():
            return pack(Kind.PIN, token, words=(order.target, int(order.pinned)))


def decode(packet: bytes) -> tuple[int, Report]:
    """The token and the message of a member's packet; PacketError."""
    fields = unpack(packet)
    reader = _READERS.get(fields.kind)
    if reader is None:
        raise PacketError(f"kind {fields.kind} is not one that members send")
    return fields.token, reader(fields.epoch, fields.words, fields.text)


_Reader = Callable[[int, list[int], bytes], Report]
_READERS: Final[dict[int, _Reader]] = {
    Kind.HELLO: lambda _, w, text: m.Hello(w[0], w[1], w[2]),
    Kind.READY: lambda epoch, w, text: m.Ready(epoch, w[0], w[1]),
    Kind.HELD: lambda epoch, w, text: m.Held(epoch, w[0], bool(w[1])),
    Kind.CUT_DONE: lambda epoch, w, text: m.CutDone(epoch, *w[:4]),
    Kind.SEALED: lambda epoch, w, text: m.Sealed(epoch, w[0], w[1], w[2], bool(w[3]), *w[4:8]),
    Kind.VOID: lambda epoch, w, text: m.Void(epoch),
    Kind.DONE: lambda epoch, w, text: m.Done(epoch, w[0]),
    Kind.FAILED: lambda epoch, w, text: m.Failed(epoch, w[1], w[0], text.decode(errors="replace")),
    Kind.BYE: lambda epoch, w, text: m.Bye(),
}


class Fields(NamedTuple):
    """What any packet says, whoever sent it."""

    kind: int
    epoch: int
    token: int
    lease_ns: int
    words: list[int]
    text: bytes


def unpack(packet: bytes) -> Fields:
    """The fields of a packet; PacketError."""
    if len(packet) != SIZE_BYTES:
        raise PacketError(f"{len(packet)} bytes where {SIZE_BYTES} are a message")
    magic, kind, _, epoch, token, lease_ns, *words, text = _FORMAT.unpack(packet)
    if magic != _MAGIC:
        raise PacketError(f"magic {magic:#x}: no message of mmsnap")
    return Fields(kind, epoch, token, lease_ns, words, text.split(b"\0", 1)[0])


def heading(packet: bytes) -> tuple[int, int]:
    """The epoch and the token of a packet that is passed on; PacketError."""
    if len(packet) != SIZE_BYTES:
        raise PacketError(f"{len(packet)} bytes where {SIZE_BYTES} are a message")
    magic, _, _, epoch, token = _HEADING.unpack_from(packet)
    if magic != _MAGIC:
        raise PacketError(f"magic {magic:#x}: no message of mmsnap")
    return epoch, token


def with_token(packet: bytes, token: int) -> bytes:
    """The same packet, as one of the member that holds `token`."""
    return packet[:_TOKEN_AT] + _TOKEN.pack(token) + packet[_TOKEN_AT + _TOKEN.size :]


def pack(
    kind: Kind,
    token: int,
    epoch: int = 0,
    lease_ns: int = 0,
    words: tuple[int, ...] = (),
    text: str = "",
) -> bytes:
    """The packet of these fields; PacketError when the text is too long."""
    encoded = text.encode()
    if len(encoded) > TEXT_MAX_BYTES:
        raise PacketError(f"a text of {len(encoded)} bytes exceeds {TEXT_MAX_BYTES}")
    padded = (*words, *(0,) * (8 - len(words)))
    return _FORMAT.pack(_MAGIC, kind, 0, epoch, token, lease_ns, *padded, encoded)


def encode_report(report: Report, token: int) -> bytes:
    """The packet of a report; a reason that is too long is cut."""
    match report:
        case m.Hello():
            greeting = (report.pid, report.in_doubt_epoch, report.seen_epoch)
            return pack(Kind.HELLO, token, words=greeting)
        case m.Ready():
            return pack(Kind.READY, token, report.epoch, words=(report.dirty_pages, report.hook_ns))
        case m.Held():
            return pack(
                Kind.HELD, token, report.epoch, words=(report.waited_ns, int(report.copying))
            )
        case m.CutDone():
            figures = (report.pages, report.size_bytes, report.copy_ns, report.waited_ns)
            return pack(Kind.CUT_DONE, token, report.epoch, words=figures)
        case m.Sealed():
            return pack(Kind.SEALED, token, report.epoch, words=_sealed_words(report))
        case m.Void():
            return pack(Kind.VOID, token, report.epoch)
        case m.Done():
            return pack(Kind.DONE, token, report.epoch, words=(report.order,))
        case m.Failed():
            text = report.reason.encode()[:TEXT_MAX_BYTES].decode(errors="ignore")
            words = (report.status, report.order)
            return pack(Kind.FAILED, token, report.epoch, words=words, text=text)
        case m.Bye():
            return pack(Kind.BYE, token)


def _sealed_words(report: m.Sealed) -> tuple[int, ...]:
    return (
        report.pause_ns,
        report.pages,
        report.size_bytes,
        int(report.crash_only),
        report.hook_ns,
        report.freeze_ns,
        report.dump_ns,
        report.thaw_ns,
    )
