"""Schedules as callers set, see and remove them.

What is set is kept in the catalog and told to nobody else: whichever node runs it looks there
(`schedules`).
"""

from __future__ import annotations

from collections.abc import Sequence

from mmsnap.catalog import ScheduleOutcome, ScheduleRecord
from mmsnap.node import bounds
from mmsnap.node.desk import Desk
from mmsnap.node.replies import schedule_reply
from mmsnap.retention import KEEP_LAST_BY_DEFAULT, Retention
from mmsnap.rpc.v1 import mmsnap_pb2 as pb


async def set_schedule(desk: Desk, group: str, asked: pb.Schedule, replicas: int) -> pb.Schedule:
    """Set or replace the schedule of a known group, with so many copies; ValueError."""
    schedule = ScheduleRecord(
        group=group,
        every_ns=bounds.check_every_ns(asked.every_ns),
        retention=_retention(asked),
        wait=bounds.check_durability(asked.wait),
        timeout_ns=bounds.check_duration_ns("timeout", asked.timeout_ns),
        max_pause_ns=bounds.check_duration_ns("max_pause", asked.max_pause_ns),
        replicas=replicas,
        labels=bounds.check_labels(asked.labels),
        suspended=asked.suspended,
    )
    await desk.ledger.ask(desk.ledger.catalog.put_schedule, schedule)
    desk.schedules_changed.set()
    # Somebody may have removed it since.
    known = await desk.ledger.ask(desk.ledger.catalog.schedules, group) or [schedule]
    return (await _told(desk, group, known))[0]


async def list_schedules(desk: Desk, group: str | None) -> list[pb.Schedule]:
    """Those of a group or of all, each with how its last runs ended."""
    return await _told(desk, group, await desk.ledger.ask(desk.ledger.catalog.schedules, group))


async def _told(
    desk: Desk, group: str | None, schedules: Sequence[ScheduleRecord]
) -> list[pb.Schedule]:
    catalog = desk.ledger.catalog
    outcomes = await desk.ledger.ask(catalog.schedule_outcomes, group)
    pending = {
        record.name: bool(record.pending_epoch) for record in await desk.ledger.ask(catalog.groups)
    }
    return [
        schedule_reply(
            each,
            outcomes.get(each.group, ScheduleOutcome()),
            waiting=pending.get(each.group, False),
        )
        for each in schedules
    ]


async def remove_schedule(desk: Desk, group: str) -> None:
    """No more checkpoints by themselves; those there are stay."""
    await desk.ledger.ask(desk.ledger.catalog.drop_schedule, group)
    desk.schedules_changed.set()


def _retention(asked: pb.Schedule) -> Retention:
    keep_last = asked.keep_last if asked.HasField("keep_last") else None
    keep_within_ns = None
    if asked.HasField("keep_within_ns"):
        keep_within_ns = bounds.check_keep_within_ns(asked.keep_within_ns)
    if keep_last == 0:
        raise ValueError("a schedule keeps at least its last checkpoint: keep_last is not 0")
    if keep_last is None and keep_within_ns is None:
        keep_last = KEEP_LAST_BY_DEFAULT
    return Retention(keep_last, keep_within_ns)
