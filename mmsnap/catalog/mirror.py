"""What a node knows of a group while the catalog does not answer: what it last saw, and did since.

A value and its form in JSON. When to look, and what may be done by it, is the node's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mmsnap.catalog.catalog import epoch_named, no_checkpoint
from mmsnap.catalog.read_back import checkpoint_of, member_of
from mmsnap.catalog.records import ASIDE_COUNT, GroupCheckpoint, GroupRecord, MemberRecord


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A group as the catalog had it at a revision.

    Attributes:
        used_epoch: the last of the numbers set aside that was used, 0: none. It is written down
            before anybody hears of it.
        moved_epoch: the restore that was made since and is not recorded in the catalog yet, 0:
            none. Then the record says where the group is, and not what the catalog has.
    """

    record: GroupRecord
    revision: int
    members: tuple[MemberRecord, ...]
    checkpoints: tuple[GroupCheckpoint, ...]
    used_epoch: int = 0
    moved_epoch: int = 0

    @property
    def committed_epochs(self) -> list[int]:
        return [checkpoint.epoch for checkpoint in self.checkpoints]

    def member(self, name: str) -> MemberRecord | None:
        return next((row for row in self.members if row.name == name), None)

    def elsewhere(self, node: str) -> list[str]:
        """The members that are not this node's."""
        return [row.name for row in self.members if row.node != node]

    def find(self, name: str) -> GroupCheckpoint:
        """As `Catalog.find`."""
        epoch = self.record.head_epoch if name == "latest" else epoch_named(name)
        for checkpoint in self.checkpoints:
            if epoch == checkpoint.epoch or (epoch is None and checkpoint.name == name):
                return checkpoint
        raise no_checkpoint(self.record.name, name)

    def has_aside(self, node: str) -> bool:
        """Whether the node has numbers that are still ahead of those that operations get."""
        return self.record.aside_node == node and self.record.next_epoch <= self.record.aside_epoch

    def free_epoch(self, node: str) -> int | None:
        """The next number that is set aside for the node; None when there is none left."""
        first = self.record.aside_epoch
        if not first or self.record.aside_node != node:
            return None
        epoch = max(first, self.used_epoch + 1)
        return epoch if epoch < first + ASIDE_COUNT else None

    def moved(self, target: int, epoch: int) -> Mirrored:
        """After a restore that the catalog has not heard of."""
        record = replace(self.record, head_epoch=target, restore_epoch=epoch)
        return replace(self, record=record, used_epoch=epoch, moved_epoch=epoch)


def to_json(groups: Mapping[str, Mirrored]) -> list[dict[str, Any]]:
    """Groups as JSON has them."""
    return [asdict(group) for group in groups.values()]


def from_json(read: list[dict[str, Any]]) -> dict[str, Mirrored]:
    """Groups by name; KeyError, TypeError or ValueError for anything else."""
    groups = (
        Mirrored(
            GroupRecord(**group["record"]),
            group["revision"],
            tuple(member_of(row) for row in group["members"]),
            tuple(checkpoint_of(row) for row in group["checkpoints"]),
            group["used_epoch"],
            group["moved_epoch"],
        )
        for group in read
    )
    return {group.record.name: group for group in groups}
