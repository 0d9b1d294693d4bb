"""A region's membership in a group: the native thread that obeys the node service.

Cuts, restores and leases are that thread's business. What reaches Python are events, for
hooks and for the member's own knowledge of how things stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmsnap.memory._native import ffi, lib
from mmsnap.memory.status import check, text_of

if TYPE_CHECKING:
    from mmsnap.memory.region import Region

EventKind = Literal["before", "after", "restored", "lost", "welcome"]

_KINDS: dict[int, EventKind] = {
    lib.MM_EVENT_BEFORE: "before",
    lib.MM_EVENT_AFTER: "after",
    lib.MM_EVENT_RESTORED: "restored",
    lib.MM_EVENT_LOST: "lost",
    lib.MM_EVENT_WELCOME: "welcome",
}


@dataclass(frozen=True)
class MemberEvent:
    """Something the member's thread did or learned.

    Attributes:
        kind: "before" a checkpoint (to be answered with :meth:`Membership.ready`), "after"
            one, "restored", "lost" (the service is gone), "welcome" (it has taken us in).
        epoch: of the group's operation.
        target: epoch of the checkpoint that the memory shows now; 0: none, it is empty.
        committed: whether the checkpoint of an "after" event exists.
        deadline_ns: time that hooks have, in nanoseconds.
        text: the checkpoint's name.
    """

    kind: EventKind
    epoch: int
    target: int
    committed: bool
    deadline_ns: int
    text: str


class Membership:
    """Made by :meth:`Region.join`; ends with :meth:`stop`, before the region is closed."""

    def __init__(self, region: Region, handle: Any, *, hooks: bool) -> None:
        self._region = region
        self._handle = handle
        self._hooks = hooks

    @property
    def hooks(self) -> bool:
        """Whether "before" events are awaited by the member's thread."""
        return self._hooks

    @hooks.setter
    def hooks(self, wanted: bool) -> None:
        lib.mm_member_set_hooks(self._live(), int(wanted))
        self._hooks = wanted

    def next_event(self, timeout_ms: int) -> MemberEvent | None:
        """The next event; None when ``timeout_ms`` milliseconds bring none. For one thread."""
        event: Any = ffi.new("mm_member_event *")
        status = lib.mm_member_next_event(self._live(), timeout_ms, event)
        if status == lib.MM_E_AGAIN:
            return None
        check(status, self._region.name)
        return MemberEvent(
            kind=_KINDS[event.kind],
            epoch=event.epoch,
            target=event.target,
            committed=bool(event.outcome),
            deadline_ns=event.deadline_ns,
            text=text_of(event.text),
        )

    def ready(self, epoch: int, ok: bool, hook_ns: int, why: str = "") -> None:
        """Answers the "before" event of ``epoch``: hooks ran, or failed because of ``why``."""
        text = why.encode()[: lib.MM_MESSAGE_TEXT - 1]
        status = lib.mm_member_ready(self._live(), epoch, int(ok), hook_ns, text)
        check(status, self._region.name)

    def stop(self, leave: bool) -> None:
        """Ends the member's thread; with ``leave`` the service is told that it goes on purpose."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            lib.mm_member_stop(handle, int(leave))

    def _live(self) -> Any:
        if self._handle is None:
            raise ValueError(f"the membership of region {self._region.name} has ended")
        return self._handle
