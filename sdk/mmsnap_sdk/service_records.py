"""What the client of the node service gives back: records of values, taken when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from mmsnap_sdk.checkpoint import Checkpoint, Durability, MemberCheckpoint

MemberState = Literal["attached", "joining", "lost", "left"]
OnLoss = Literal["rollback", "wait", "fresh"]
Engine = Literal["memory", "process"]


@dataclass(frozen=True, slots=True)
class GroupMemberCheckpoint(MemberCheckpoint):
    """One member's part of a group checkpoint, as the service keeps it.

    Attributes:
        waited_ns: how long it waited for open updates.
        skew_ns: how much later than the first member it stood still.
        crash_only: something was written outside of an update during its cut, or the program
            knows nothing of cuts.
        engine: "memory", or "process" for an unmodified program.
        freeze_ns, dump_ns, thaw_ns: of its pause, when it is an unmodified program: until it
            stood still, the dump, until it ran again.
        node: where it was taken; empty where there is only one.
        copies: the nodes that have its bytes.
    """

    waited_ns: int = 0
    skew_ns: int = 0
    crash_only: bool = False
    engine: Engine = "memory"
    freeze_ns: int = 0
    dump_ns: int = 0
    thaw_ns: int = 0
    node: str = ""
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupCheckpoint(Checkpoint):
    """A checkpoint of a group.

    Attributes:
        group: whose it is.
        head: it is what a restart would show, as of when this record was made.
        held_ns: from the first order to stand still to the first to run on.
        awaited: after a restore, the programs that have to be started before it can happen.
        behind: after a restore, the members that did not follow, and have to attach again.
        replicas: how many copies on other nodes it is to have.
        pending: it is restored as soon as all of its programs have been started; known when it
            was looked for by name.
        restore_epoch: then also: the operation that moved its group's head last, 0: none.
    """

    group: str = ""
    head: bool = False
    held_ns: int = 0
    awaited: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    replicas: int = 0
    pending: bool = False
    restore_epoch: int = 0

    @property
    def programs(self) -> tuple[str, ...]:
        """The members that know nothing of mmsnap."""
        return tuple(
            part.member
            for part in self.members
            if isinstance(part, GroupMemberCheckpoint) and part.engine == "process"
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group.

    Attributes:
        pid: its process, None when it is not attached or is on another node.
        size_bytes: the upper bound of its region, 0 when it never said one.
        head_epoch: the head of its group, None before the first checkpoint.
        node: whose member it is; empty where there is only one node.
    """

    group: str
    member: str
    region: str
    state: MemberState
    on_loss: OnLoss
    pid: int | None
    size_bytes: int
    head_epoch: int | None
    engine: Engine = "memory"
    node: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of several.

    Attributes:
        address: where the others reach its service.
        down: somebody vouched that it does not run.
    """

    name: str
    address: str
    down: bool


@dataclass(frozen=True, slots=True)
class RegionShare:
    """What one region takes, in bytes: of the pool's medium, and of its process's own memory.

    Attributes:
        group, member: empty for a region that belongs to no member.
        used_bytes: of the medium, in all.
        base_bytes: of the memory as of the last applied checkpoint.
        log_bytes: of redo logs, in use or kept warm.
        delta_bytes: of older checkpoints.
        private_bytes: pages that the attached process has written, beside the pool.
        node: in whose pool it is; empty where there is only one node.
    """

    region: str
    group: str
    member: str
    used_bytes: int
    checkpoint_count: int
    base_bytes: int
    log_bytes: int
    delta_bytes: int
    private_bytes: int
    node: str = ""


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """The medium under the pool of one node of several, in bytes.

    Attributes:
        unreachable: why the node did not answer, and nothing more is known; empty: it did.
    """

    node: str
    pool: str
    size_bytes: int
    free_bytes: int
    unreachable: str = ""


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """The medium under the pool of the service that was asked, in bytes, and who takes what.

    Attributes:
        regions: of all nodes that answered.
        nodes: all nodes by name; none where there is only one.
    """

    pool: str
    size_bytes: int
    free_bytes: int
    regions: tuple[RegionShare, ...]
    nodes: tuple[NodeUsage, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """That the service checkpoints a group again and again, and how the last runs went.

    Attributes:
        keep_last, keep_within: what stays of its checkpoints; None: that rule says nothing.
        wait: what a checkpoint has to reach before its run has succeeded.
        timeout, max_pause: as for a checkpoint; None: none was set.
        suspended: it is kept, but nothing is done.
        waiting: for a restore of the group, which waits for programs.
        node: the one that runs it; empty: nobody yet, or there is only one.
        consecutive_failures: how many of the last runs failed, one after the other.
        last_error: why the last one did; empty when it did not.
        last_checkpoint, last_success: of the last run that did not fail; empty, None: none did yet.
    """

    group: str
    every: timedelta
    keep_last: int | None
    keep_within: timedelta | None
    wait: Durability
    timeout: timedelta | None
    max_pause: timedelta | None
    replicas: int
    labels: Mapping[str, str]
    suspended: bool
    waiting: bool
    node: str
    consecutive_failures: int
    last_error: str
    last_checkpoint: str
    last_success: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the service.

    `kind` is one of attached, lost, left, checkpoint, aborted, restored, deleted,
    pending (a restore waits for programs to be started); and of a node, without a group:
    unreachable (what happens there is not heard of), reachable (it is again). `node` is where
    it happened, empty where there is only one.
    """

    at: datetime
    kind: str
    group: str
    member: str
    epoch: int
    text: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """What a process says of itself to become a member.

    Attributes:
        followed_restore_epoch: of a process that is a member and lost its connection: the
            last restore that its memory followed. None: it begins now.
        incarnation: of such a process, what it was told when it became a member.
    """

    group: str
    member: str
    size_bytes: int | None
    on_loss: OnLoss
    followed_restore_epoch: int | None = None
    engine: Engine = "memory"
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """What the process is told.

    Attributes:
        pool, region: where its memory is.
        socket, token: where it takes its orders, and what it says there first.
        restore_epoch: the last restore of the group, which its memory follows when it shows
            the head.
        committed_epochs: prepared epochs that are not among them were aborted.
        head: what its region must show; None: nothing.
        restore_pending: an unmodified program is not to be started, it will be restored.
        incarnation: rises with every move of the member to another node.
    """

    pool: Path
    region: str
    socket: str
    token: int
    restore_epoch: int
    committed_epochs: frozenset[int]
    head: GroupCheckpoint | None
    restore_pending: bool = False
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class ArchivePiece:
    """The next bytes of an archive, and how much of the checkpoint (an estimate) is done."""

    data: bytes
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a checkpoint under way: "begin" (hooks, pre-copy), "resume" (sealing), "decide"."""

    epoch: int
    step: str
