"""One run of a schedule: a checkpoint, what it is to reach, then what retention lets go.

Whether it may be is asked again in the group's turn, when nothing else can be done to the group: a
schedule that was changed, suspended, removed or taken over by then does nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from mmsnap.catalog import (
    GroupCheckpoint,
    GroupRecord,
    MemberState,
    ScheduleOutcome,
    ScheduleRecord,
)
from mmsnap.errors import AbortedError, BusyError, MmsnapError
from mmsnap.node.desk import CheckpointOrder
from mmsnap.node.groups import Groups
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.logs import about
from mmsnap.node.perform import Participant
from mmsnap.node.upkeep import prune_checkpoints
from mmsnap.quantities import format_duration

log = logging.getLogger(__name__)

# By it the checkpoints of schedules are told from all others, for retention.
LABEL: Final = "mmsnap/schedule"
AWAY_SECONDS: Final = 120.0
_REPLICATED_SECONDS: Final = 60.0

COMMITTED: Final = "committed"
FAILED: Final = "failed"
POSTPONED: Final = "postponed"


class NotWantedError(Exception):
    """Nothing is to be done, and that is no failure."""


@dataclass(slots=True)
class Absence:
    """Members that left in order, though the head has a part of theirs.

    They may be coming back, and would find nothing of their own in a newer head that was taken
    without them. So they are waited for, a while.
    """

    names: frozenset[str] = frozenset()
    since: float = 0.0

    def is_waited_for(self, names: frozenset[str], now: float) -> bool:
        """Whether these, who are away now, are."""
        if names != self.names:
            self.names, self.since = names, now
        return bool(names) and now - self.since < AWAY_SECONDS


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended, what is to be kept of it, and why it was postponed if it was."""

    result: str
    outcome: ScheduleOutcome
    reason: str = ""


async def run_once(
    groups: Groups, schedule: ScheduleRecord, before: ScheduleOutcome, absence: Absence
) -> Run:
    """Carry out a run."""
    outcome = before
    try:
        group = groups.group(schedule.group)
        taken = await _take(groups, group, schedule, absence)
        outcome = ScheduleOutcome(0, "", taken.name, taken.created_ns)
        await _let_go(groups, group, schedule)
    except (NotWantedError, BusyError) as reason:
        return Run(POSTPONED, before, str(reason))
    except (MmsnapError, OSError, ValueError) as error:
        log.warning("a run of the schedule failed: %s", error, extra=about(schedule.group, 0))
        return Run(FAILED, replace(outcome, failures=before.failures + 1, error=_told(error)))
    except Exception as error:
        log.exception("a run of the schedule failed", extra=about(schedule.group, 0))
        return Run(FAILED, replace(outcome, failures=before.failures + 1, error=_told(error)))
    return Run(COMMITTED, outcome)


async def _let_go(groups: Groups, group: LiveGroup, schedule: ScheduleRecord) -> None:
    """What retention does not keep; what can not go now goes with the next run."""
    work = prune_checkpoints(
        group,
        schedule.retention,
        dry_run=False,
        among=lambda each: LABEL in each.labels,
        agreed=partial(_require_unchanged, group, schedule),
    )
    try:
        await asyncio.shield(groups.run(work))
    except (NotWantedError, BusyError) as reason:
        log.info("nothing is let go: %s", reason, extra=group.about())


async def _take(
    groups: Groups, group: LiveGroup, schedule: ScheduleRecord, absence: Absence
) -> GroupCheckpoint:
    order = CheckpointOrder(
        labels={**schedule.labels, LABEL: format_duration(schedule.every_ns)},
        max_pause_ns=schedule.max_pause_ns,
        timeout_ns=schedule.timeout_ns,
        automatic=True,
        unasked=True,
        replicas=schedule.replicas,
        agreed=partial(_require_still_wanted, group, schedule, absence),
    )
    # It ends by its own budgets, whoever stops waiting for it.
    taken: GroupCheckpoint = await asyncio.shield(
        groups.run(group.checkpoint(order, lambda epoch, step: None))
    )
    replicas = group.desk.replicas
    if schedule.wait == "replicated" and replicas is not None:
        seconds = schedule.timeout_ns / 1e9 or _REPLICATED_SECONDS
        try:
            await replicas.await_durability(group.name, taken.epoch, schedule.wait, seconds)
        except TimeoutError:
            raise AbortedError(
                f"checkpoint {taken.name} exists, but was not replicated within {seconds:g} s",
                subject=taken.name,
            ) from None
    return taken


async def _require_still_wanted(
    group: LiveGroup,
    schedule: ScheduleRecord,
    absence: Absence,
    record: GroupRecord,
    seats: Collection[Participant],
) -> None:
    await _require_unchanged(group, schedule)
    if record.pending_epoch:
        raise NotWantedError("a restore of the group waits for programs")
    away = await _away(group, record)
    if absence.is_waited_for(away, time.monotonic()):
        raise NotWantedError(f"{', '.join(sorted(away))} left, and may be coming back")
    if not seats:
        raise AbortedError(f"group {group.name} has no member that is attached", subject=group.name)


async def _require_unchanged(group: LiveGroup, schedule: ScheduleRecord) -> None:
    ledger = group.desk.ledger
    if await ledger.ask(ledger.catalog.schedules, group.name) != [schedule]:
        raise NotWantedError("the schedule was changed meanwhile")


async def _away(group: LiveGroup, record: GroupRecord) -> frozenset[str]:
    ledger = group.desk.ledger
    rows = await ledger.ask(ledger.catalog.members, group.name)
    left = {row.name for row in rows if row.state is MemberState.LEFT}
    if not left or record.head_epoch is None:
        return frozenset()
    head = await ledger.ask(ledger.catalog.find, group.name, f"@{record.head_epoch}")
    return frozenset(left.intersection(part.member for part in head.members))


def _told(error: Exception) -> str:
    return getattr(error, "message", "") or str(error) or type(error).__name__
