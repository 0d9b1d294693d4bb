"""One schedule that this node runs: waits until a run is due, carries it out, and again.

One run after the other, so there are never two of a group. Whether this node is the one to run it
is `schedules`' to say.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace

from mmsnap.catalog import ScheduleOutcome, ScheduleRecord
from mmsnap.errors import MmsnapError
from mmsnap.node.groups import Groups
from mmsnap.node.logs import about
from mmsnap.node.scheduled_run import POSTPONED, Absence, run_once
from mmsnap.node.timetable import Timetable, first_ns

log = logging.getLogger(__name__)


class Keeper:
    """Begins when it is made. Of one event loop."""

    def __init__(self, groups: Groups, schedule: ScheduleRecord, outcome: ScheduleOutcome) -> None:
        self._groups = groups
        self.schedule = schedule
        self.outcome = outcome
        self._told = outcome
        self._untold = ""  # why it could not be
        self._postponed = ""  # why the last run was
        self._absence = Absence()
        self._timetable = self._anew()
        self._woken = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def change(self, schedule: ScheduleRecord) -> None:
        """It was set anew."""
        before, self.schedule = self.schedule, schedule
        if before.every_ns != schedule.every_ns:
            self._timetable = self._anew()
        elif before.suspended and not schedule.suspended:
            self._timetable.ended(time.monotonic_ns(), 0)
        else:
            self._timetable.nudged(time.monotonic_ns())
        self._woken.set()

    def nudge(self) -> None:
        """Something happened to the group that may end its failures."""
        self._timetable.nudged(time.monotonic_ns())
        self._woken.set()

    async def stop(self) -> None:
        """No run begins any more; one under way ends by itself, as a task of the groups."""
        self._task.cancel()
        await asyncio.wait({self._task})

    def _anew(self) -> Timetable:
        made_ns = self.outcome.success_ns
        age_ns = time.time_ns() - made_ns if made_ns else None
        every_ns = self.schedule.every_ns
        return Timetable(every_ns, first_ns(every_ns, time.monotonic_ns(), age_ns))

    async def _run(self) -> None:
        while True:
            if await self._is_due():
                try:
                    await self._run_now()
                except Exception:
                    # Whatever it was: nobody would begin it again.
                    log.exception("a run went wrong", extra=about(self.schedule.group, 0))
                    self.outcome = replace(self.outcome, failures=self.outcome.failures + 1)
                    self._timetable.ended(time.monotonic_ns(), self.outcome.failures)

    async def _run_now(self) -> None:
        late_ns = time.monotonic_ns() - self._timetable.due_ns
        run = await run_once(self._groups, self.schedule, self.outcome, self._absence)
        self.outcome = run.outcome
        if run.reason != self._postponed:
            self._postponed = run.reason
            if run.reason:
                log.info("postponed: %s", run.reason, extra=about(self.schedule.group, 0))
        self._groups.desk.metrics.scheduled(run.result, late_ns / 1e9)
        postponed = run.result == POSTPONED
        self._timetable.ended(time.monotonic_ns(), self.outcome.failures, postponed=postponed)
        await self._tell()

    async def _is_due(self) -> bool:
        """Waits until it is, or until something else is to be waited for."""
        self._woken.clear()
        wait_ns = self._timetable.due_ns - time.monotonic_ns()
        if wait_ns <= 0 and not self.schedule.suspended:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self.schedule.suspended else wait_ns / 1e9):
                await self._woken.wait()
        return False

    async def _tell(self) -> None:
        """Keeps how the runs went; what can not be told now is told with the next one."""
        if self.outcome == self._told:
            return
        ledger = self._groups.desk.ledger
        try:
            await ledger.ask(ledger.catalog.put_schedule_outcome, self.schedule.group, self.outcome)
            self._told, self._untold = self.outcome, ""
        except Exception as error:
            # A full medium, for one: it is to be told when there is room again.
            if str(error) != self._untold:
                self._untold = str(error)
                told = not isinstance(error, MmsnapError)
                where = about(self.schedule.group, 0)
                log.warning("how runs go is not kept: %s", error, exc_info=told, extra=where)
