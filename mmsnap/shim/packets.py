"""A member's side of the packets: orders come in, reports go out.

The other side, and the format itself, is `mmsnap.node.packets`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mmsnap.group import messages as m
from mmsnap.group.messages import Kind, Order, Report
from mmsnap.node.packets import TEXT_MAX_BYTES, PacketError, pack, unpack

_Reader = Callable[[int, int, list[int], str], Order]
_READERS: Final[dict[int, _Reader]] = {
    Kind.WELCOME: lambda epoch, lease, w, text: m.Welcome(),
    Kind.BEGIN: lambda epoch, lease, w, text: m.Begin(epoch, text, bool(w[0]), w[1], w[2]),
    Kind.QUIESCE: lambda epoch, lease, w, text: m.Quiesce(epoch, lease, w[0]),
    Kind.CUT: lambda epoch, lease, w, text: m.Cut(epoch, lease, w[0]),
    Kind.RESUME: lambda epoch, lease, w, text: m.Resume(epoch),
    Kind.COMMIT: lambda epoch, lease, w, text: m.Commit(epoch),
    Kind.ABORT: lambda epoch, lease, w, text: m.Abort(epoch),
    Kind.RESTORE: lambda epoch, lease, w, text: m.Restore(epoch, lease, w[0]),
    Kind.CHECK: lambda epoch, lease, w, text: m.Check(epoch, w[0]),
    Kind.DELETE: lambda epoch, lease, w, text: m.Delete(w[0]),
    Kind.RENEW: lambda epoch, lease, w, text: m.Renew(epoch, lease),
    Kind.PIN: lambda epoch, lease, w, text: m.Pin(w[0], bool(w[1])),
}


def decode(packet: bytes) -> Order:
    """The order in a packet; PacketError."""
    fields = unpack(packet)
    reader = _READERS.get(fields.kind)
    if reader is None:
        raise PacketError(f"kind {fields.kind} is not one that services send")
    return reader(fields.epoch, fields.lease_ns, fields.words, fields.text.decode(errors="replace"))


def encode(report: Report, token: int) -> bytes:
    """The packet of a report; a reason that is too long is cut."""
    match report:
        case m.Hello():
            greeting = (report.pid, report.in_doubt_epoch, report.seen_epoch)
            return pack(Kind.HELLO, token, words=greeting)
        case m.Ready():
            return pack(Kind.READY, token, report.epoch, words=(report.dirty_pages, report.hook_ns))
        case m.Held():
            return pack(Kind.HELD, token, report.epoch, words=(report.waited_ns,))
        case m.CutDone():
            figures = (report.pages, report.size_bytes, report.copy_ns)
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
