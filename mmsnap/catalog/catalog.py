"""What a catalog promises, whoever keeps it: a file of the node, or etcd for many nodes.

Every method that changes something is one transaction: all of it, or nothing. What a catalog does
not know does not exist.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from mmsnap.catalog.records import (
    Copies,
    GroupCheckpoint,
    GroupRecord,
    MemberRecord,
    NodeRecord,
    ScheduleOutcome,
    ScheduleRecord,
)
from mmsnap.errors import AbortedError, FencedError, NotFoundError


class NoMajorityError(AbortedError):
    """The catalog does not answer: what it has, and whether a change was made, is not known."""


class Catalog(ABC):
    """Groups, their members and their checkpoints. Used by one thread at a time."""

    @abstractmethod
    def close(self) -> None:
        """It is not used any more."""

    # ---- nodes ----

    @abstractmethod
    def put_node(self, name: str, address: str) -> None:
        """A node's service can be reached there, as HOST:PORT, and is not down."""

    @abstractmethod
    def set_node_down(self, name: str) -> None:
        """Somebody vouches that the node does not run; NotFoundError."""

    @abstractmethod
    def drop_node(self, name: str) -> None:
        """The node is gone for good: what it had does not count any more; NotFoundError."""

    @abstractmethod
    def nodes(self) -> dict[str, NodeRecord]:
        """All nodes, by name; none where there is only one."""

    # ---- groups ----

    @abstractmethod
    def groups(self) -> list[GroupRecord]:
        """All groups, by name."""

    @abstractmethod
    def group(self, name: str) -> GroupRecord:
        """One group; NotFoundError."""

    @abstractmethod
    def next_epoch(self, group: str) -> int:
        """A number that no operation of the group ever had, and none will have."""

    @abstractmethod
    def set_head(self, group: str, target: int, operation_epoch: int) -> None:
        """Move the group's head to its checkpoint `target`: the commit point of a restore.

        Raises:
            NotFoundError: there is no such checkpoint.
            FencedError: a later operation was recorded before.
        """

    @abstractmethod
    def set_pending(self, group: str, target: int) -> None:
        """Restore checkpoint `target` when its programs have been started; 0: not any more."""

    # ---- members ----

    @abstractmethod
    def members(self, group: str | None = None) -> list[MemberRecord]:
        """The members of a group, or of all groups, by name."""

    @abstractmethod
    def put_member(self, member: MemberRecord) -> None:
        """Add a member or change it; makes the group if it is the first.

        Raises:
            FencedError: there is one of a higher incarnation, or of the same on another node.
        """

    @abstractmethod
    def drop_member(self, group: str, name: str) -> None:
        """The group goes on without it; its part of older checkpoints stays."""

    # ---- checkpoints ----

    @abstractmethod
    def commit(self, checkpoint: GroupCheckpoint) -> None:
        """The commit of a group checkpoint: it exists, and is the head, or neither.

        Raises:
            FencedError: a later operation was recorded before.
            FileExistsError: the name is taken.
        """

    @abstractmethod
    def settle(self, group: str, epoch: int) -> bool:
        """Whether the epoch was committed; if it was not, from now on it never can be."""

    @abstractmethod
    def adopt(self, checkpoint: GroupCheckpoint, *, pending: bool) -> None:
        """A new group whose head is this checkpoint, its only one, made elsewhere.

        Args:
            pending: its programs are restored from it as soon as all have been started.

        Raises:
            FileExistsError: there is a group of that name.
        """

    @abstractmethod
    def checkpoints(self, group: str | None = None) -> list[GroupCheckpoint]:
        """Those of a group, or of all groups, ascending by epoch."""

    @abstractmethod
    def find(self, group: str, name: str = "latest") -> GroupCheckpoint:
        """One checkpoint by name, "latest" (the head) or "@EPOCH"; NotFoundError."""

    @abstractmethod
    def committed_epochs(self, group: str) -> list[int]:
        """The epochs of all its checkpoints, ascending: what a member in doubt must ask for."""

    @abstractmethod
    def is_committed(self, group: str, epoch: int) -> bool:
        """Whether the checkpoint exists."""

    @abstractmethod
    def delete(self, group: str, epoch: int) -> None:
        """Forget a checkpoint.

        Raises:
            NotFoundError: there is no such checkpoint.
            ValueError: it is needed, see `require_deletable`; in the same transaction, so that
                nobody makes it the head, pins it or waits for it in between.
        """

    @abstractmethod
    def pin(self, group: str, epoch: int, pinned: bool) -> None:
        """Keep a checkpoint from pruning, or no longer; NotFoundError."""

    # ---- schedules ----

    @abstractmethod
    def schedules(self, group: str | None = None) -> list[ScheduleRecord]:
        """That of a group, or those of all groups, by group."""

    @abstractmethod
    def put_schedule(self, schedule: ScheduleRecord) -> None:
        """Set a group's schedule, whatever it was; who runs it stays. NotFoundError: no group."""

    @abstractmethod
    def drop_schedule(self, group: str) -> None:
        """The group has none any more, nor an outcome of one; NotFoundError."""

    @abstractmethod
    def claim_schedule(self, group: str, node: str, seen: str) -> bool:
        """The node runs it from now on, unless somebody else than `seen` does.

        Empty names mean nobody. False: it was not `seen` any more, or there is no schedule.
        """

    @abstractmethod
    def schedule_outcomes(self, group: str | None = None) -> dict[str, ScheduleOutcome]:
        """How the last runs went, by group; of those that ran."""

    @abstractmethod
    def put_schedule_outcome(self, group: str, outcome: ScheduleOutcome) -> None:
        """A run is over; nothing is kept when there is no schedule any more."""

    @abstractmethod
    def beat(self, node: str) -> None:
        """The node's service runs schedules; others take them over when it falls silent."""

    @abstractmethod
    def beats(self) -> dict[str, int]:
        """A number for each node that ever did, another one each time it does."""

    # ---- copies ----

    @abstractmethod
    def copies(self, group: str | None = None) -> list[Copies]:
        """Who has the bytes, by group and epoch; none where there is only one node."""

    @abstractmethod
    def copies_of(self, group: str, epoch: int) -> Copies | None:
        """Those of one checkpoint."""

    @abstractmethod
    def put_copy(self, group: str, epoch: int, member: str, node: str) -> None:
        """The node has the bytes of a member's part; NotFoundError for an unknown checkpoint."""

    @abstractmethod
    def drop_copy(self, group: str, epoch: int, member: str, node: str) -> None:
        """The node has lost them."""


def epoch_named(name: str) -> int | None:
    """The epoch of a name like "@41"; None when it is no such name."""
    return (
        int(name[1:]) if name.startswith("@") and name[1:].isdecimal() and len(name) < 20 else None
    )


def name_taken(group: str, name: str) -> FileExistsError:
    """The error of a second checkpoint by the same name."""
    return FileExistsError(
        f"group {group} has a checkpoint {name} already: choose another name, or delete that one"
    )


def group_taken(group: str) -> FileExistsError:
    """The error of a second group by the same name."""
    return FileExistsError(f"there is a group {group} already: choose another name")


def no_group(name: str) -> NotFoundError:
    """The error of a group that nobody ever attached to."""
    return NotFoundError(
        f"there is no group {name}",
        subject=name,
        hint="a group begins with its first member; mmsnap ps lists them",
    )


def no_checkpoint(group: str, name: str) -> NotFoundError:
    """The error of a checkpoint that is not there; `name` as it was asked for."""
    return NotFoundError(
        f"group {group} has no checkpoint yet"
        if name == "latest"
        else f"group {group} has no checkpoint {name}",
        subject=name,
        hint=f"mmsnap checkpoint list {group} shows what there is",
    )


def no_node(name: str) -> NotFoundError:
    """The error of a node that never announced itself, or was removed."""
    return NotFoundError(
        f"there is no node {name}", subject=name, hint="mmsnap node list shows which there are"
    )


def no_schedule(group: str) -> NotFoundError:
    """The error of a schedule that was never set, or was removed."""
    return NotFoundError(
        f"group {group} has no schedule",
        subject=group,
        hint=f"mmsnap schedule set {group} --every 1s makes one",
    )


def require_deletable(record: GroupRecord, checkpoint: GroupCheckpoint) -> None:
    """ValueError for what a restart or a restore would show, and for what is pinned."""
    group, epoch = record.name, checkpoint.epoch
    if record.head_epoch == epoch:
        raise ValueError(
            f"@{epoch} is the head of group {group} and can not be deleted: "
            "restore another checkpoint or take a newer one first"
        )
    if record.pending_epoch == epoch:
        raise ValueError(
            f"@{epoch} can not be deleted: a restore of group {group} to it waits for programs; "
            "start them, or restore another checkpoint first"
        )
    if checkpoint.pinned:
        raise ValueError(f"@{epoch} of group {group} is pinned: unpin it before deleting it")


def superseded(member: MemberRecord, newer: MemberRecord) -> FencedError:
    """The error of a member's record that comes too late."""
    return FencedError(
        f"member {member.name} of group {member.group} runs on node {newer.node} now",
        subject=member.name,
    )


def fenced(group: str, epoch: int) -> FencedError:
    """The error of an operation that a later one has overtaken."""
    return FencedError(
        f"epoch {epoch} of group {group} is shut out by what was recorded since",
        subject=f"@{epoch}",
    )
