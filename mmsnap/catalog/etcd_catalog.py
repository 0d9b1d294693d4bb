"""The catalog of many nodes, in etcd.

    nodes/NAME               where a node's service is, and whether it is known to be down
    groups/G                 head, numbers given out, last restore, what is pending
    members/G/M
    checkpoints/G/EPOCH      with the figures of its members; the key's number has 16 digits
    names/G/NAME             whose checkpoint it is
    copies/G/EPOCH           which nodes have the bytes, by member
    schedules/G, outcomes/G, beats/NODE: see `etcd_schedules`

Whatever changes a group also writes its record, and only if that is as it was read: so the record's
revision puts all changes of a group in a row, and a change that was overtaken is thought anew.
(Copies and schedules are apart from that: they come and go beside whatever is done to the group.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from mmsnap.catalog.catalog import (
    epoch_named,
    fenced,
    group_taken,
    name_taken,
    no_checkpoint,
    no_group,
    no_node,
    require_deletable,
    superseded,
)
from mmsnap.catalog.etcd import TRIES, Etcd, Record, change_record
from mmsnap.catalog.etcd_schedules import EtcdSchedules
from mmsnap.catalog.read_back import checkpoint_of, member_of
from mmsnap.catalog.records import (
    ASIDE_COUNT,
    Copies,
    GroupCheckpoint,
    GroupRecord,
    MemberRecord,
    NodeRecord,
)
from mmsnap.errors import AbortedError

Puts = dict[str, Record]


class EtcdCatalog(EtcdSchedules):
    """See `Catalog`. Every method raises AbortedError when etcd has no majority."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    def close(self) -> None:
        self._etcd.close()

    # ---- nodes ----

    def put_node(self, name: str, address: str) -> None:
        change_record(self._etcd, f"nodes/{name}", lambda record: asdict(NodeRecord(name, address)))

    def set_node_down(self, name: str) -> None:
        def mark(record: Record | None) -> Record:
            if record is None:
                raise no_node(name)
            return {**record, "down": True}

        change_record(self._etcd, f"nodes/{name}", mark)

    def drop_node(self, name: str) -> None:
        def drop(record: Record | None) -> None:
            if record is None:
                raise no_node(name)

        change_record(self._etcd, f"nodes/{name}", drop)

    def nodes(self) -> dict[str, NodeRecord]:
        nodes = (NodeRecord(**record) for record in self._etcd.list("nodes/"))
        return {node.name: node for node in nodes}

    # ---- groups ----

    def groups(self) -> list[GroupRecord]:
        return [GroupRecord(**record) for record in self._etcd.list("groups/")]

    def group(self, name: str) -> GroupRecord:
        return self._group(name)[0]

    def next_epoch(self, group: str) -> int:
        given = 0

        def take(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            nonlocal given
            given = record.next_epoch
            if 0 < record.aside_epoch <= given < record.aside_epoch + ASIDE_COUNT:
                given = record.aside_epoch + ASIDE_COUNT  # these are somebody's already
            return replace(record, next_epoch=given + 1), {}

        self._change(group, take)
        return given

    def set_head(self, group: str, target: int, operation_epoch: int) -> None:
        def move(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            wanted = replace(
                record, head_epoch=target, restore_epoch=operation_epoch, pending_epoch=0
            )
            if not (again and record == wanted):
                self._fence(record, operation_epoch)
                self._require(group, target)
            return wanted, {}

        self._change(group, move)

    def set_pending(self, group: str, target: int) -> None:
        def mark(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            if target:
                self._require(group, target)
            return replace(record, pending_epoch=target), {}

        self._change(group, mark)

    # ---- members ----

    def members(self, group: str | None = None) -> list[MemberRecord]:
        prefix = "members/" if group is None else f"members/{group}/"
        return [member_of(record) for record in self._etcd.list(prefix)]

    def put_member(self, member: MemberRecord) -> None:
        key = f"members/{member.group}/{member.name}"

        def put(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            found = self._etcd.get(key).record
            newer = None if found is None else member_of(found)
            if newer is not None and not _may_follow(member, newer):
                raise superseded(member, newer)
            return record, {key: asdict(member)}

        self._change(member.group, put, make=True)

    def drop_member(self, group: str, name: str) -> None:
        self._change(group, lambda record, again: (record, {}), deletes=[f"members/{group}/{name}"])

    # ---- checkpoints ----

    def commit(self, checkpoint: GroupCheckpoint) -> None:
        group, epoch = checkpoint.group, checkpoint.epoch

        def record_it(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            if not (again and self._checkpoint(group, epoch) == checkpoint):
                self._fence(record, epoch)
                self._require_unused(group, checkpoint.name)
            return replace(record, head_epoch=epoch), _puts(checkpoint)

        self._change(group, record_it)

    def settle(self, group: str, epoch: int) -> bool:
        committed = False

        def shut_out(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            nonlocal committed
            committed = self.is_committed(group, epoch)
            fence_epoch = record.fence_epoch if committed else max(record.fence_epoch, epoch)
            return replace(record, fence_epoch=fence_epoch), {}

        self._change(group, shut_out)
        return committed

    def adopt(self, checkpoint: GroupCheckpoint, *, pending: bool) -> None:
        group, epoch = checkpoint.group, checkpoint.epoch
        record = GroupRecord(group, epoch, epoch + 1, 0, epoch if pending else 0)
        key = f"groups/{group}"
        if self._etcd.get(key).record is not None:
            raise group_taken(group)
        puts = {key: asdict(record), **_puts(checkpoint)}
        if self._etcd.change({key: 0}, puts):
            return
        if self._checkpoint(group, epoch) != checkpoint:  # else an answer was lost
            raise group_taken(group)

    def checkpoints(self, group: str | None = None) -> list[GroupCheckpoint]:
        prefix = "checkpoints/" if group is None else f"checkpoints/{group}/"
        return [checkpoint_of(record) for record in self._etcd.list(prefix)]

    def find(self, group: str, name: str = "latest") -> GroupCheckpoint:
        record = self.group(group)
        epoch = record.head_epoch if name == "latest" else epoch_named(name)
        if epoch is None:
            named = self._etcd.get(f"names/{group}/{name}").record
            epoch = named["epoch"] if named else None
        found = None if epoch is None else self._checkpoint(group, epoch)
        if found is None:
            raise no_checkpoint(group, name)
        return found

    def committed_epochs(self, group: str) -> list[int]:
        return [checkpoint.epoch for checkpoint in self.checkpoints(group)]

    def is_committed(self, group: str, epoch: int) -> bool:
        return self._checkpoint(group, epoch) is not None

    def delete(self, group: str, epoch: int) -> None:
        keys: list[str] = []

        def forget(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            keys.clear()
            found = self._checkpoint(group, epoch)
            if found is not None:
                require_deletable(record, found)
                name, copies = f"names/{group}/{found.name}", _copies_key(group, epoch)
                keys.extend((_key(group, epoch), name, copies))
            elif not again:
                raise no_checkpoint(group, f"@{epoch}")
            return record, {}

        self._change(group, forget, deletes=keys)

    def pin(self, group: str, epoch: int, pinned: bool) -> None:
        def mark(record: GroupRecord, again: bool) -> tuple[GroupRecord, Puts]:
            found = self._required(group, epoch)
            return record, {_key(group, epoch): asdict(replace(found, pinned=pinned))}

        self._change(group, mark)

    # ---- copies ----

    def copies(self, group: str | None = None) -> list[Copies]:
        prefix = "copies/" if group is None else f"copies/{group}/"
        return [_copies(record) for record in self._etcd.list(prefix)]

    def copies_of(self, group: str, epoch: int) -> Copies | None:
        found = self._etcd.get(_copies_key(group, epoch)).record
        return None if found is None else _copies(found)

    def put_copy(self, group: str, epoch: int, member: str, node: str) -> None:
        def add(record: Record | None) -> Record:
            if record is None:
                raise no_checkpoint(group, f"@{epoch}")
            nodes = sorted({*record["nodes"].get(member, ()), node})
            return {**record, "nodes": {**record["nodes"], member: nodes}}

        change_record(self._etcd, _copies_key(group, epoch), add)

    def drop_copy(self, group: str, epoch: int, member: str, node: str) -> None:
        def remove(record: Record | None) -> Record | None:
            if record is None:
                return None
            nodes = [each for each in record["nodes"].get(member, ()) if each != node]
            return {**record, "nodes": {**record["nodes"], member: nodes}}

        change_record(self._etcd, _copies_key(group, epoch), remove)

    # ---- one change of a group ----

    def _change(
        self,
        group: str,
        change: Callable[[GroupRecord, bool], tuple[GroupRecord, Puts]],
        *,
        make: bool = False,
        deletes: list[str] | None = None,
    ) -> None:
        """Writes what `change` makes of the record and what it puts beside it, until it holds.

        `change` is told when it is asked again: then an earlier try may have been made after all,
        and its answer been lost.
        """
        key = f"groups/{group}"
        for number in range(TRIES):
            try:
                record, revision = self._group(group)
            except LookupError:
                if not make:
                    raise
                record, revision = GroupRecord(group, None, 1, 0, 0), 0
            changed, puts = change(record, number > 0)
            if self._etcd.change({key: revision}, {key: asdict(changed), **puts}, deletes or ()):
                return
        raise AbortedError(
            f"group {group} is changed by others all the time", subject=group, hint="try again"
        )

    def _group(self, name: str) -> tuple[GroupRecord, int]:
        found = self._etcd.get(f"groups/{name}")
        if found.record is None:
            raise no_group(name)
        return GroupRecord(**found.record), found.revision

    def _fence(self, record: GroupRecord, epoch: int) -> None:
        newest = max((c.epoch for c in self.checkpoints(record.name)), default=0)
        if not max(record.restore_epoch, record.fence_epoch, newest) < epoch < record.next_epoch:
            raise fenced(record.name, epoch)

    def _require(self, group: str, epoch: int) -> None:
        self._required(group, epoch)

    def _required(self, group: str, epoch: int) -> GroupCheckpoint:
        found = self._checkpoint(group, epoch)
        if found is None:
            raise no_checkpoint(group, f"@{epoch}")
        return found

    def _require_unused(self, group: str, name: str) -> None:
        if self._etcd.get(f"names/{group}/{name}").record is not None:
            raise name_taken(group, name)

    def _checkpoint(self, group: str, epoch: int) -> GroupCheckpoint | None:
        found = self._etcd.get(_key(group, epoch)).record
        return None if found is None else checkpoint_of(found)


def _key(group: str, epoch: int) -> str:
    return f"checkpoints/{group}/{epoch:016d}"


def _copies_key(group: str, epoch: int) -> str:
    return f"copies/{group}/{epoch:016d}"


def _puts(checkpoint: GroupCheckpoint) -> Puts:
    group, epoch = checkpoint.group, checkpoint.epoch
    made = {part.member: (part.node,) for part in checkpoint.members}
    return {
        _key(group, epoch): asdict(checkpoint),
        f"names/{group}/{checkpoint.name}": {"epoch": epoch},
        _copies_key(group, epoch): asdict(Copies(group, epoch, made)),
    }


def _copies(record: Record) -> Copies:
    nodes = {member: tuple(nodes) for member, nodes in record["nodes"].items()}
    return Copies(record["group"], record["epoch"], nodes)


def _may_follow(member: MemberRecord, known: MemberRecord) -> bool:
    is_same = (member.incarnation, member.node) == (known.incarnation, known.node)
    return is_same or member.incarnation > known.incarnation
