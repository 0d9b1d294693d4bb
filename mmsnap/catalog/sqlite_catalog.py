"""The catalog of one node: the tables of `sqlite_schema`, in a file of the pool.

One process writes (the service, which holds the pool's lock), one thread at a time. What is
written is on the medium when a method returns.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from mmsnap.catalog.catalog import (
    epoch_named,
    fenced,
    group_taken,
    name_taken,
    no_checkpoint,
    no_group,
    require_deletable,
)
from mmsnap.catalog.records import (
    Copies,
    EngineKind,
    GroupCheckpoint,
    GroupRecord,
    MemberFigures,
    MemberRecord,
    MemberState,
    NodeRecord,
    OnLoss,
)
from mmsnap.catalog.sqlite_schedules import SqliteSchedules
from mmsnap.catalog.sqlite_schema import alone, connect, transaction
from mmsnap.errors import CorruptionError


class SqliteCatalog(SqliteSchedules):
    """See `Catalog`. CorruptionError when the file can not be read."""

    def __init__(self, path: Path) -> None:
        try:
            self._sql = connect(path)
        except sqlite3.DatabaseError as error:
            raise CorruptionError(
                f"the catalog {path} can not be read: {error}",
                subject=str(path),
                hint="move the file away: the regions stay, their group checkpoints are unknown",
            ) from error

    def close(self) -> None:
        self._sql.close()

    # ---- nodes ----

    def put_node(self, name: str, address: str) -> None:
        raise alone()

    def set_node_down(self, name: str) -> None:
        raise alone()

    def drop_node(self, name: str) -> None:
        raise alone()

    def nodes(self) -> dict[str, NodeRecord]:
        return {}

    # ---- groups ----

    def groups(self) -> list[GroupRecord]:
        return [
            GroupRecord(*row) for row in self._sql.execute("SELECT * FROM groups ORDER BY name")
        ]

    def group(self, name: str) -> GroupRecord:
        row = self._sql.execute("SELECT * FROM groups WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise no_group(name)
        return GroupRecord(*row)

    def next_epoch(self, group: str) -> int:
        with transaction(self._sql):
            epoch = self.group(group).next_epoch
            self._sql.execute("UPDATE groups SET next_epoch = ? WHERE name = ?", (epoch + 1, group))
        return epoch

    def set_head(self, group: str, target: int, operation_epoch: int) -> None:
        with transaction(self._sql):
            self._fence(group, operation_epoch)
            self._require(group, target)
            self._sql.execute(
                "UPDATE groups SET head_epoch = ?, restore_epoch = ?, pending_epoch = 0 "
                "WHERE name = ?",
                (target, operation_epoch, group),
            )

    def set_pending(self, group: str, target: int) -> None:
        with transaction(self._sql):
            if target:
                self._require(group, target)
            self._sql.execute("UPDATE groups SET pending_epoch = ? WHERE name = ?", (target, group))

    # ---- members ----

    def members(self, group: str | None = None) -> list[MemberRecord]:
        rows = self._sql.execute(
            "SELECT * FROM members WHERE ? IS NULL OR group_name = ? ORDER BY group_name, name",
            (group, group),
        )
        return [
            MemberRecord(
                of, name, OnLoss(on_loss), MemberState(state), size, lost_epoch, EngineKind(engine)
            )
            for of, name, on_loss, state, size, lost_epoch, engine in rows
        ]

    def put_member(self, member: MemberRecord) -> None:
        with transaction(self._sql):
            self._sql.execute(
                "INSERT INTO groups VALUES (?, NULL, 1, 0, 0) ON CONFLICT DO NOTHING",
                (member.group,),
            )
            self._sql.execute(
                "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    member.group,
                    member.name,
                    member.on_loss.value,
                    member.state.value,
                    member.size_bytes,
                    member.lost_epoch,
                    member.engine.value,
                ),
            )

    def drop_member(self, group: str, name: str) -> None:
        with transaction(self._sql):
            self._sql.execute(
                "DELETE FROM members WHERE group_name = ? AND name = ?", (group, name)
            )

    # ---- checkpoints ----

    def commit(self, checkpoint: GroupCheckpoint) -> None:
        with transaction(self._sql):
            self._fence(checkpoint.group, checkpoint.epoch)
            self._insert(checkpoint)
            self._sql.execute(
                "UPDATE groups SET head_epoch = ? WHERE name = ?",
                (checkpoint.epoch, checkpoint.group),
            )

    def adopt(self, checkpoint: GroupCheckpoint, *, pending: bool) -> None:
        epoch = checkpoint.epoch
        with transaction(self._sql):
            try:
                self._sql.execute(
                    "INSERT INTO groups VALUES (?, ?, ?, 0, ?)",
                    (checkpoint.group, epoch, epoch + 1, epoch if pending else 0),
                )
            except sqlite3.IntegrityError as error:
                raise group_taken(checkpoint.group) from error
            self._insert(checkpoint)

    def checkpoints(self, group: str | None = None) -> list[GroupCheckpoint]:
        rows = self._sql.execute(
            "SELECT * FROM checkpoints WHERE ? IS NULL OR group_name = ? "
            "ORDER BY group_name, epoch",
            (group, group),
        ).fetchall()
        figures: dict[tuple[str, int], list[MemberFigures]] = {}
        for row in self._sql.execute(
            "SELECT * FROM figures WHERE ? IS NULL OR group_name = ? ORDER BY member",
            (group, group),
        ):
            figures.setdefault((row[0], row[1]), []).append(_figures(row))
        return [_checkpoint(row, tuple(figures.get((row[0], row[1]), ()))) for row in rows]

    def find(self, group: str, name: str = "latest") -> GroupCheckpoint:
        head_epoch = self.group(group).head_epoch
        epoch = head_epoch if name == "latest" else epoch_named(name)
        row = self._sql.execute(
            "SELECT * FROM checkpoints WHERE group_name = ? AND (epoch = ? OR name = ?)",
            (group, epoch, name),
        ).fetchone()
        if row is None:
            raise no_checkpoint(group, name)
        figures = self._sql.execute(
            "SELECT * FROM figures WHERE group_name = ? AND epoch = ? ORDER BY member",
            (group, row["epoch"]),
        )
        return _checkpoint(row, tuple(_figures(f) for f in figures))

    def committed_epochs(self, group: str) -> list[int]:
        rows = self._sql.execute(
            "SELECT epoch FROM checkpoints WHERE group_name = ? ORDER BY epoch", (group,)
        )
        return [row[0] for row in rows]

    def is_committed(self, group: str, epoch: int) -> bool:
        row = self._sql.execute(
            "SELECT 1 FROM checkpoints WHERE group_name = ? AND epoch = ?", (group, epoch)
        ).fetchone()
        return row is not None

    def settle(self, group: str, epoch: int) -> bool:
        return self.is_committed(group, epoch)  # what a commit left undone was rolled back

    def delete(self, group: str, epoch: int) -> None:
        with transaction(self._sql):
            require_deletable(self.group(group), self.find(group, f"@{epoch}"))
            self._sql.execute(
                "DELETE FROM checkpoints WHERE group_name = ? AND epoch = ?", (group, epoch)
            )

    def pin(self, group: str, epoch: int, pinned: bool) -> None:
        with transaction(self._sql):
            self._require(group, epoch)
            self._sql.execute(
                "UPDATE checkpoints SET pinned = ? WHERE group_name = ? AND epoch = ?",
                (pinned, group, epoch),
            )

    # ---- copies ----

    def copies(self, group: str | None = None) -> list[Copies]:
        return []

    def copies_of(self, group: str, epoch: int) -> Copies | None:
        return None

    def put_copy(self, group: str, epoch: int, member: str, node: str) -> None:
        raise alone()

    def drop_copy(self, group: str, epoch: int, member: str, node: str) -> None:
        raise alone()

    # ---- inside a transaction ----

    def _fence(self, group: str, epoch: int) -> None:
        row = self._sql.execute(
            "SELECT max(restore_epoch, coalesce((SELECT max(epoch) FROM checkpoints "
            "WHERE group_name = groups.name), 0)), next_epoch FROM groups WHERE name = ?",
            (group,),
        ).fetchone()
        if row is None or not row[0] < epoch < row[1]:
            raise fenced(group, epoch)

    def _require(self, group: str, epoch: int) -> None:
        if not self.is_committed(group, epoch):
            raise no_checkpoint(group, f"@{epoch}")

    def _insert(self, checkpoint: GroupCheckpoint) -> None:
        try:
            self._sql.execute(
                "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    checkpoint.group,
                    checkpoint.epoch,
                    checkpoint.name,
                    checkpoint.parent_epoch,
                    checkpoint.created_ns,
                    checkpoint.held_ns,
                    checkpoint.automatic,
                    checkpoint.pinned,
                    json.dumps(dict(checkpoint.labels)),
                ),
            )
        except sqlite3.IntegrityError as error:
            raise name_taken(checkpoint.group, checkpoint.name) from error
        self._sql.executemany(
            "INSERT INTO figures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    checkpoint.group,
                    checkpoint.epoch,
                    figures.member,
                    figures.pause_ns,
                    figures.waited_ns,
                    figures.hook_ns,
                    figures.skew_ns,
                    figures.bytes_written,
                    figures.crash_only,
                    figures.engine.value,
                    figures.freeze_ns,
                    figures.dump_ns,
                    figures.thaw_ns,
                )
                for figures in checkpoint.members
            ],
        )


def _figures(row: sqlite3.Row) -> MemberFigures:
    return MemberFigures(
        member=row["member"],
        pause_ns=row["pause_ns"],
        waited_ns=row["waited_ns"],
        hook_ns=row["hook_ns"],
        skew_ns=row["skew_ns"],
        bytes_written=row["bytes_written"],
        crash_only=bool(row["crash_only"]),
        engine=EngineKind(row["engine"]),
        freeze_ns=row["freeze_ns"],
        dump_ns=row["dump_ns"],
        thaw_ns=row["thaw_ns"],
    )


def _checkpoint(row: sqlite3.Row, members: tuple[MemberFigures, ...]) -> GroupCheckpoint:
    return GroupCheckpoint(
        group=row["group_name"],
        epoch=row["epoch"],
        name=row["name"],
        parent_epoch=row["parent_epoch"],
        created_ns=row["created_ns"],
        held_ns=row["held_ns"],
        automatic=bool(row["automatic"]),
        pinned=bool(row["pinned"]),
        labels=json.loads(row["labels"]),
        members=members,
    )
