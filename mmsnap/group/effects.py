"""What the state machine wants done, and how an operation ended.

Effects are data: whoever drives the machine carries them out in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from mmsnap.group.messages import Kind


class Cause(Enum):
    """Why an operation was aborted."""

    LOST = "lost"  # a member's connection ended
    VOID = "void"  # a member ran on when its lease ended
    TIMEOUT = "timeout"  # a member did not answer within the step's budget
    PAUSE = "pause"  # the pause exceeded what the caller allows
    FAILED = "failed"  # a member could not carry out an order
    CATALOG = "catalog"  # the catalog refused to record it
    EMPTY = "empty"  # no member takes part


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that went wrong; `status` is the member's mm_status, positive."""

    cause: Cause
    members: tuple[str, ...]
    step: str
    reason: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one member reported about its part of a checkpoint."""

    pause_ns: int
    waited_ns: int
    hook_ns: int
    skew_ns: int  # how much later than the first member it was held
    pages: int
    size_bytes: int
    crash_only: bool
    freeze_ns: int = 0
    dump_ns: int = 0
    thaw_ns: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send the operation's order of this kind to these members."""

    order: Kind
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """Record the operation in the catalog, then call `answer`."""


@dataclass(frozen=True, slots=True)
class Expel:
    """End this member's connection: it did not follow, and must attach again."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The operation is over.

    `held_ns` is the time from the first Quiesce to the first Resume (or Abort),
    as the service saw it. `figures` holds what was reported until the end.
    """

    committed: bool
    failure: Failure | None
    held_ns: int
    figures: Mapping[str, Figures]


Effect = Send | Decide | Expel | Finished
