"""A member's side of the packets: orders come in. All else is in `mmsnap.node.packets`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mmsnap.group import messages as m
from mmsnap.group.messages import Kind, Order
from mmsnap.node.packets import PacketError, unpack

_Reader = Callable[[int, int, list[int], str], Order]
_READERS: Final[dict[int, _Reader]] = {
    Kind.WELCOME: lambda epoch, lease, w, text: m.Welcome(),
    Kind.BEGIN: lambda epoch, lease, w, text: m.Begin(epoch, text, bool(w[0] & 1), w[1], w[2]),
    Kind.QUIESCE: lambda epoch, lease, w, text: m.Quiesce(epoch, lease, w[0]),
    Kind.CUT: lambda epoch, lease, w, text: m.Cut(epoch, lease, w[0]),
    Kind.RESUME: lambda epoch, lease, w, text: m.Resume(epoch),
    Kind.COMMIT: lambda epoch, lease, w, text: m.Commit(epoch),
    Kind.ABORT: lambda epoch, lease, w, text: m.Abort(epoch),
    Kind.RESTORE: lambda epoch, lease, w, text: m.Restore(epoch, lease, w[0], w[1]),
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
