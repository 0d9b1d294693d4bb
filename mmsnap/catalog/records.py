"""The rows of the catalog as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from mmsnap.retention import Retention

# So many numbers of a group are set aside for what its node does while etcd has no majority.
ASIDE_COUNT: Final = 100


class OnLoss(StrEnum):
    """What happens to a group when this member is lost."""

    ROLLBACK = "rollback"  # the others return to the head
    WAIT = "wait"  # the others run on; no checkpoint until it is back
    FRESH = "fresh"  # it is dropped from the group


class EngineKind(StrEnum):
    """How a member's state is captured."""

    MEMORY = "memory"  # it keeps it in mmsnap's memory
    PROCESS = "process"  # it knows nothing of mmsnap, and is captured whole


class MemberState(StrEnum):
    """What the catalog last heard of a member."""

    ATTACHED = "attached"
    LOST = "lost"  # its connection ended without a word
    LEFT = "left"  # it detached


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group: where its head is and how far its epochs have come.

    Attributes:
        head_epoch: the checkpoint it is at, None before the first.
        next_epoch: the number that the next operation will get.
        restore_epoch: the operation that moved the head last, 0: none. A member that
            did not follow it has to.
        pending_epoch: the checkpoint that is restored as soon as all its unmodified programs
            have been started, 0: none.
        fence_epoch: up to this one nothing can be recorded any more, though it may have been.
        aside_epoch: the first of `ASIDE_COUNT` numbers that nobody but `aside_node` will use,
            0: none.
    """

    name: str
    head_epoch: int | None
    next_epoch: int
    restore_epoch: int
    pending_epoch: int = 0
    fence_epoch: int = 0
    aside_epoch: int = 0
    aside_node: str = ""


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member of a group.

    Attributes:
        size_bytes: the upper bound of its region.
        lost_epoch: when lost, the operation under way, or else the next one. A restore
            of this number or a later one has brought the group to a state without it.
        node: the service that it is a member of; empty where there is only one.
        incarnation: rises with every move to another node. A process of a lower one is
            superseded, however alive.
    """

    group: str
    name: str
    on_loss: OnLoss
    state: MemberState
    size_bytes: int
    lost_epoch: int = 0
    engine: EngineKind = EngineKind.MEMORY
    node: str = ""
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node's service.

    Attributes:
        address: where the others reach it, as HOST:PORT.
        down: somebody vouched that it does not run; its members may be restored elsewhere.
    """

    name: str
    address: str
    down: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """That a group is checkpointed again and again, and how; set by people.

    Attributes:
        wait: what each checkpoint is to reach before its run has succeeded.
        replicas: copies on other nodes of each.
        suspended: it is kept, but nothing is done.
        node: the service that does it; empty: nobody yet, or there is only one.
    """

    group: str
    every_ns: int
    retention: Retention
    wait: str = "captured"
    timeout_ns: int = 0
    max_pause_ns: int = 0
    replicas: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    suspended: bool = False
    node: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleOutcome:
    """How the last runs of a group's schedule went.

    Attributes:
        failures: how many of the last runs failed, one after the other.
        error: why the last one did; empty when it did not.
        checkpoint: the name of what the last run made that did not fail; empty: none did yet.
        success_ns: when it was made, since 1970.
    """

    failures: int = 0
    error: str = ""
    checkpoint: str = ""
    success_ns: int = 0


@dataclass(frozen=True, slots=True)
class Copies:
    """Which nodes have the bytes of a checkpoint's parts, by member."""

    group: str
    epoch: int
    nodes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MemberFigures:
    """One member's part of a group checkpoint; `node`: where it was captured."""

    member: str
    pause_ns: int
    waited_ns: int
    hook_ns: int
    skew_ns: int
    bytes_written: int
    crash_only: bool
    engine: EngineKind = EngineKind.MEMORY
    freeze_ns: int = 0
    dump_ns: int = 0
    thaw_ns: int = 0
    node: str = ""


@dataclass(frozen=True, slots=True)
class GroupCheckpoint:
    """A committed checkpoint of a group.

    `held_ns` is the time from the first order to quiesce to the first to resume, as
    the service saw it; `pause_ns` the longest that a member itself measured. `replicas` is how
    many copies on other nodes it is to have.
    """

    group: str
    epoch: int
    name: str
    parent_epoch: int | None
    created_ns: int
    held_ns: int
    automatic: bool
    pinned: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    members: tuple[MemberFigures, ...] = ()
    replicas: int = 0

    @property
    def pause_ns(self) -> int:
        return max((figures.pause_ns for figures in self.members), default=0)

    @property
    def hook_ns(self) -> int:
        return max((figures.hook_ns for figures in self.members), default=0)

    @property
    def bytes_written(self) -> int:
        return sum(figures.bytes_written for figures in self.members)

    @property
    def consistency(self) -> Literal["crash", "application"]:
        return "crash" if any(figures.crash_only for figures in self.members) else "application"
