"""What the service and its members say to each other, one dataclass a message.

The names are those of `enum mm_message_kind` in native/include/mmsnap.h, whose
numbers are the values of `Kind`. How a message looks on the wire is no concern
of this module (mmsnap.node.packets knows it). Times are durations in
nanoseconds, never instants: the two ends of a socket need no common clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

# As the target of a restore: no checkpoint, an empty region.
EMPTY_EPOCH: Final = 0


class Kind(IntEnum):
    """The kinds of messages, numbered as in mmsnap.h."""

    WELCOME = 1
    BEGIN = 2
    QUIESCE = 3
    CUT = 4
    RESUME = 5
    COMMIT = 6
    ABORT = 7
    RESTORE = 8
    DELETE = 9
    RENEW = 10
    PIN = 11
    CHECK = 12
    HELLO = 33
    READY = 34
    HELD = 35
    CUT_DONE = 36
    SEALED = 37
    VOID = 38
    DONE = 39
    FAILED = 40
    BYE = 41


# ---- service to member ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Welcome:
    """The member is known and may be given orders."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Pre-copy, run the before-hooks, then say Ready."""

    epoch: int
    name: str
    automatic: bool
    hook_budget_ns: int
    max_pause_ns: int = 0  # 0: no budget; who knows to need more says so now
    unasked: bool = False  # nobody asked for this one now: refused while an update is half done


@dataclass(frozen=True, slots=True)
class Quiesce:
    """Let no update begin, wait for the open ones, then say Held.

    `cut`: then do as Cut says, with its budget, and say CutDone instead; Held only if that takes
    long.
    """

    epoch: int
    lease_ns: int
    update_timeout_ns: int
    cut: bool = False
    max_pause_ns: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """While held: scan and copy, then say CutDone."""

    epoch: int
    lease_ns: int
    max_pause_ns: int  # 0: no budget


@dataclass(frozen=True, slots=True)
class Resume:
    """Run on, and say Sealed when held until now, else Void."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The catalog has the epoch: apply its log."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Abort:
    """The epoch will never be: run on, keep its pages for the next one."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Restore:
    """While held: show the checkpoint of epoch `target`, then say Done.

    `generation` is the restore that the member follows thereby; 0: the one of this `epoch`.
    """

    epoch: int
    lease_ns: int
    target: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """Say Done if a restore of epoch `target` would work here, Failed if not; nothing changes.

    Only unmodified programs are asked: their restore ends what runs before it makes anything new.
    """

    epoch: int
    target: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget the checkpoint of epoch `target`."""

    target: int


@dataclass(frozen=True, slots=True)
class Renew:
    """The lease begins anew; nothing else changes."""

    epoch: int
    lease_ns: int


@dataclass(frozen=True, slots=True)
class Pin:
    """Mark the checkpoint of epoch `target` as pinned or not."""

    target: int
    pinned: bool


Order = (
    Welcome
    | Begin
    | Quiesce
    | Cut
    | Resume
    | Commit
    | Abort
    | Restore
    | Check
    | Delete
    | Renew
    | Pin
)

# ---- member to service ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a connection."""

    pid: int
    in_doubt_epoch: int  # sealed, its outcome not heard of; 0: none
    seen_epoch: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Hooks and pre-copy are done."""

    epoch: int
    dirty_pages: int
    hook_ns: int


@dataclass(frozen=True, slots=True)
class Held:
    """No update is open and none can begin; `copying`: and CutDone follows without an order."""

    epoch: int
    waited_ns: int
    copying: bool = False


@dataclass(frozen=True, slots=True)
class CutDone:
    """Everything of the epoch is copied; still held."""

    epoch: int
    pages: int
    size_bytes: int
    copy_ns: int
    waited_ns: int = 0  # where no Held says so


@dataclass(frozen=True, slots=True)
class Sealed:
    """Stayed held until Resume came, and the epoch's log is complete."""

    epoch: int
    pause_ns: int
    pages: int
    size_bytes: int
    crash_only: bool
    hook_ns: int
    # Of the pause of an unmodified program: until it stood still, CRIU's part, until it ran again.
    freeze_ns: int = 0
    dump_ns: int = 0
    thaw_ns: int = 0


@dataclass(frozen=True, slots=True)
class Void:
    """Ran on when the lease ended: the epoch can not commit."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Done:
    """The order of kind `order` was carried out."""

    epoch: int
    order: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The order of kind `order` could not be carried out; `status` as in mm_status, positive."""

    epoch: int
    order: int
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Bye:
    """Leaves the group on purpose."""


Report = Hello | Ready | Held | CutDone | Sealed | Void | Done | Failed | Bye
EpochReport = Ready | Held | CutDone | Sealed | Void | Done | Failed
