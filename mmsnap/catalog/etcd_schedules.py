"""The schedules of groups in etcd, and which node runs each.

    schedules/G     what is to be done, and by whom
    outcomes/G      how the last runs went
    beats/NODE      rises while the node's service runs schedules

A claim is a change of the schedule that expects it as it was read, so of two nodes one gets it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

from mmsnap.catalog.catalog import Catalog, no_schedule
from mmsnap.catalog.etcd import TRIES, Etcd, Record, change_record
from mmsnap.catalog.records import ScheduleOutcome, ScheduleRecord
from mmsnap.errors import AbortedError
from mmsnap.retention import Retention

_SCHEDULES: Final = "schedules/"
_OUTCOMES: Final = "outcomes/"
_BEATS: Final = "beats/"


class EtcdSchedules(Catalog):
    """That part of `EtcdCatalog`."""

    _etcd: Etcd

    def schedules(self, group: str | None = None) -> list[ScheduleRecord]:
        return [_schedule_of(record) for record in self._records(_SCHEDULES, group)]

    def put_schedule(self, schedule: ScheduleRecord) -> None:
        self.group(schedule.group)

        def put(record: Record | None) -> Record:
            node = "" if record is None else record["node"]
            return asdict(replace(schedule, node=node))

        change_record(self._etcd, _SCHEDULES + schedule.group, put)

    def drop_schedule(self, group: str) -> None:
        keys = (_SCHEDULES + group, _OUTCOMES + group)
        for again in range(TRIES):
            found = self._etcd.get(keys[0])
            if found.record is None:
                if not again:
                    raise no_schedule(group)
                return
            if self._etcd.change({keys[0]: found.revision}, {}, keys):
                return
        raise AbortedError(f"the schedule of {group} is changed by others all the time")

    def claim_schedule(self, group: str, node: str, seen: str) -> bool:
        key = _SCHEDULES + group
        found = self._etcd.get(key)
        if found.record is None or found.record["node"] != seen:
            # An answer may have been lost: then it is ours.
            return found.record is not None and found.record["node"] == node
        return self._etcd.change({key: found.revision}, {key: {**found.record, "node": node}})

    def schedule_outcomes(self, group: str | None = None) -> dict[str, ScheduleOutcome]:
        return {
            record.pop("group"): ScheduleOutcome(**record)
            for record in self._records(_OUTCOMES, group)
        }

    def put_schedule_outcome(self, group: str, outcome: ScheduleOutcome) -> None:
        key = _SCHEDULES + group
        record = {"group": group, **asdict(outcome)}
        for _ in range(TRIES):
            found = self._etcd.get(key)
            if found.record is None:
                return
            if self._etcd.change({key: found.revision}, {_OUTCOMES + group: record}):
                return

    def beat(self, node: str) -> None:
        def rise(record: Record | None) -> Record:
            return {"node": node, "count": 1 if record is None else record["count"] + 1}

        change_record(self._etcd, _BEATS + node, rise)

    def beats(self) -> dict[str, int]:
        return {record["node"]: record["count"] for record in self._etcd.list(_BEATS)}

    def _records(self, prefix: str, group: str | None) -> list[Record]:
        if group is None:
            return self._etcd.list(prefix)
        found = self._etcd.get(prefix + group).record
        return [] if found is None else [found]


def _schedule_of(record: Record) -> ScheduleRecord:
    return ScheduleRecord(**{**record, "retention": Retention(**record["retention"])})
