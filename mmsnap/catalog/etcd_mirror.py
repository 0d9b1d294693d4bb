"""etcd as a node looks at it for its mirror, and as it is told what was done by the mirror.

A restore that was made without etcd is recorded if the group's record is as the mirror has it, and
not at all otherwise. Its number is one of those that the group's record sets aside for the node
that has all members, ahead of the numbers that operations get: nobody else ever uses it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

from mmsnap.catalog.etcd_catalog import EtcdCatalog, Puts
from mmsnap.catalog.mirror import Mirrored
from mmsnap.catalog.records import ASIDE_COUNT, GroupRecord
from mmsnap.errors import AbortedError

# So far ahead that the numbers of operations seldom come there.
_ASIDE_AHEAD: Final = 1000
_TRIES: Final = 5


class EtcdMirrorSource(EtcdCatalog):
    """See the module."""

    def groups_of(self, node: str) -> set[str]:
        """The groups that have members of a node."""
        return {row.group for row in self.members() if row.node == node}

    def revision(self, group: str) -> int:
        """Changes with every change of the group."""
        return self._group(group)[1]

    def look(self, group: str) -> Mirrored:
        """The group at one revision."""
        for _ in range(_TRIES):
            record, revision = self._group(group)
            members = tuple(self.members(group))
            checkpoints = tuple(self.checkpoints(group))
            if self.revision(group) == revision:
                return Mirrored(record, revision, members, checkpoints)
        raise AbortedError(f"group {group} is changed by others all the time", subject=group)

    def set_aside(self, group: str, node: str) -> None:
        """Sets numbers aside for a node, unless it has some that are still ahead."""

        def take(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            if record.aside_node == node and record.next_epoch <= record.aside_epoch:
                return record, {}
            # Somebody's older ones are not given to anybody else.
            after = record.aside_epoch + ASIDE_COUNT if record.aside_epoch else 0
            first = max(record.next_epoch, after) + _ASIDE_AHEAD
            return replace(record, aside_epoch=first, aside_node=node), {}

        self._change(group, take)

    def record_move(self, moved: Mirrored) -> bool:
        """Records a restore that was made without etcd; False when others changed the group."""
        group = moved.record.name
        wanted = replace(moved.record, next_epoch=moved.used_epoch + 1, aside_epoch=0)
        key = f"groups/{group}"
        if self._etcd.change({key: moved.revision}, {key: asdict(wanted)}):
            return True
        # Nobody else uses this number: then it was recorded before, and the answer lost.
        return self.group(group).restore_epoch == moved.moved_epoch

    def skip(self, group: str, epoch: int) -> None:
        """No operation gets this number any more, nor a lower one."""

        def go_on(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            return replace(record, next_epoch=max(record.next_epoch, epoch + 1)), {}

        self._change(group, go_on)
