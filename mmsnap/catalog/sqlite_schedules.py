"""The schedules of groups in the catalog of one node; who runs them is no question there."""

from __future__ import annotations

import json
import sqlite3

from mmsnap.catalog.catalog import Catalog, no_schedule
from mmsnap.catalog.records import ScheduleOutcome, ScheduleRecord
from mmsnap.catalog.sqlite_schema import alone, transaction
from mmsnap.retention import Retention


class SqliteSchedules(Catalog):
    """That part of `SqliteCatalog`."""

    _sql: sqlite3.Connection

    def schedules(self, group: str | None = None) -> list[ScheduleRecord]:
        return [
            ScheduleRecord(
                group=row["group_name"],
                every_ns=row["every_ns"],
                retention=Retention(row["keep_last"], row["keep_within_ns"]),
                wait=row["wait"],
                timeout_ns=row["timeout_ns"],
                max_pause_ns=row["max_pause_ns"],
                replicas=row["replicas"],
                labels=json.loads(row["labels"]),
                suspended=bool(row["suspended"]),
            )
            for row in self._scheduled(group)
        ]

    def put_schedule(self, schedule: ScheduleRecord) -> None:
        kept = {
            "every_ns": schedule.every_ns,
            "keep_last": schedule.retention.keep_last,
            "keep_within_ns": schedule.retention.keep_within_ns,
            "wait": schedule.wait,
            "timeout_ns": schedule.timeout_ns,
            "max_pause_ns": schedule.max_pause_ns,
            "replicas": schedule.replicas,
            "labels": json.dumps(dict(schedule.labels)),
            "suspended": schedule.suspended,
        }
        with transaction(self._sql):
            self.group(schedule.group)
            self._sql.execute(
                f"INSERT INTO schedules (group_name, {', '.join(kept)}) "
                f"VALUES (:group, {', '.join(f':{name}' for name in kept)}) "
                "ON CONFLICT (group_name) DO UPDATE SET "
                + ", ".join(f"{name} = :{name}" for name in kept),
                {"group": schedule.group, **kept},
            )

    def drop_schedule(self, group: str) -> None:
        with transaction(self._sql):
            gone = self._sql.execute("DELETE FROM schedules WHERE group_name = ?", (group,))
            if not gone.rowcount:
                raise no_schedule(group)

    def claim_schedule(self, group: str, node: str, seen: str) -> bool:
        raise alone()

    def schedule_outcomes(self, group: str | None = None) -> dict[str, ScheduleOutcome]:
        return {
            row["group_name"]: ScheduleOutcome(
                row["failures"], row["error"], row["checkpoint"], row["success_ns"]
            )
            for row in self._scheduled(group)
            if row["failures"] or row["checkpoint"]
        }

    def put_schedule_outcome(self, group: str, outcome: ScheduleOutcome) -> None:
        with transaction(self._sql):
            self._sql.execute(
                "UPDATE schedules SET failures = ?, error = ?, checkpoint = ?, success_ns = ? "
                "WHERE group_name = ?",
                (outcome.failures, outcome.error, outcome.checkpoint, outcome.success_ns, group),
            )

    def beat(self, node: str) -> None:
        raise alone()

    def beats(self) -> dict[str, int]:
        return {}

    def _scheduled(self, group: str | None) -> list[sqlite3.Row]:
        return self._sql.execute(
            "SELECT * FROM schedules WHERE ? IS NULL OR group_name = ? ORDER BY group_name",
            (group, group),
        ).fetchall()
