"""Which schedules this node runs: of each, exactly one node of the cluster is the one.

Who it is stands in the catalog, and is asked in each run's turn; so the others need not be right
about whether it lives. Nodes that run some write a number that rises; who sees it stand still for
long, by its own clock, claims what that node had. Nothing is elected, and no clocks are compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from mmsnap.catalog import NodeRecord, ScheduleOutcome, ScheduleRecord
from mmsnap.errors import MmsnapError
from mmsnap.node.events import Event
from mmsnap.node.groups import Groups
from mmsnap.node.keeper import Keeper
from mmsnap.node.ledger import Ledger
from mmsnap.node.silence import Silence

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
# Several beats, on a busy machine and an etcd that elects a leader.
SILENT_SECONDS: Final = 5.0
# Who has no members of the group leaves it to those who have some.
_STRANGER_SECONDS: Final = 3.0
_RELEASE_SECONDS: Final = 2.0


class Schedules:
    """Of one event loop."""

    def __init__(self, groups: Groups, node: str = "", ledger: Ledger | None = None) -> None:
        """Make it; nothing happens yet.

        Args:
            node: this one's name among several; empty: it is alone, and runs all.
            ledger: its own, for looking, so that no operation waits for it; closed with it.
        """
        self._groups = groups
        self._node = node
        self._own_ledger = ledger
        self._ledger = ledger or groups.desk.ledger
        self._keepers: dict[str, Keeper] = {}
        self._silence = Silence()
        self._vacant_since: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._groups.desk.events.listen(self._heard)
        metrics = self._groups.desk.metrics
        metrics.look_at_schedules(lambda: [each.outcome for each in tuple(self._keepers.values())])
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """No run begins here any more; the others may take over at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for keeper in self._keepers.values():
            await keeper.stop()
        if self._own_ledger is not None:
            await self._release(self._own_ledger)
            self._own_ledger.close()

    def _heard(self, event: Event) -> None:
        keeper = self._keepers.get(event.group)
        if keeper is not None and event.kind in ("attached", "restored"):
            keeper.nudge()

    async def _run(self) -> None:
        changed = self._groups.desk.schedules_changed
        silent = False
        while True:
            changed.clear()
            try:
                await self._look()
                silent = False
            except MmsnapError as error:
                log.log(logging.DEBUG if silent else logging.WARNING, "schedules: %s", error)
                silent = True
            except Exception:
                log.exception("which schedules are run here could not be looked up")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await changed.wait()

    async def _look(self) -> None:
        schedules = await self._ledger.ask(self._ledger.catalog.schedules, None)
        mine = {each.group: each for each in await self._mine(schedules)}
        for group in self._keepers.keys() - mine.keys():
            log.info("schedule of group %s is not run here any more", group)
            await self._keepers.pop(group).stop()
        fresh = mine.keys() - self._keepers.keys()
        outcomes = (
            await self._ledger.ask(self._ledger.catalog.schedule_outcomes, None) if fresh else {}
        )
        for group, schedule in mine.items():
            if group in fresh:
                outcome = outcomes.get(group, ScheduleOutcome())
                self._keepers[group] = Keeper(self._groups, schedule, outcome)
                log.info("schedule of group %s is run here", group)
            elif self._keepers[group].schedule != schedule:
                self._keepers[group].change(schedule)

    async def _mine(self, schedules: Collection[ScheduleRecord]) -> list[ScheduleRecord]:
        if not self._node or not schedules:
            return list(schedules)
        ledger, now = self._ledger, time.monotonic()
        if any(each.node == self._node for each in schedules):
            await ledger.ask(ledger.catalog.beat, self._node)
        self._silence.heard(await ledger.ask(ledger.catalog.beats), now)
        nodes = await ledger.ask(ledger.catalog.nodes)
        vacant = [each for each in schedules if self._is_vacant(each, nodes, now)]
        # From when it was free without a break: who had it and lost it again begins anew.
        self._vacant_since = {
            each.group: self._vacant_since.get(each.group, now) for each in vacant
        }
        mine = []
        for each in schedules:
            if each.node == self._node:
                mine.append(each)
            elif each in vacant and await self._is_ours_now(each, now):
                mine.append(replace(each, node=self._node))
        return mine

    def _is_vacant(
        self, schedule: ScheduleRecord, nodes: Mapping[str, NodeRecord], now: float
    ) -> bool:
        if schedule.node == self._node:
            return False
        owner = nodes.get(schedule.node)
        silent = self._silence.seconds(schedule.node, now) > SILENT_SECONDS
        return owner is None or owner.down or silent

    async def _is_ours_now(self, schedule: ScheduleRecord, now: float) -> bool:
        ledger, group = self._ledger, schedule.group
        since = self._vacant_since[group]
        rows = await ledger.ask(ledger.catalog.members, group)
        if not any(row.node == self._node for row in rows) and now - since < _STRANGER_SECONDS:
            return False
        # Before the claim: the others may have heard of this one long ago, when it had a schedule.
        await ledger.ask(ledger.catalog.beat, self._node)
        claim = ledger.catalog.claim_schedule
        return await ledger.ask(claim, group, self._node, schedule.node)

    async def _release(self, ledger: Ledger) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                for group in self._keepers:
                    await ledger.ask(ledger.catalog.claim_schedule, group, "", self._node)
        except Exception as error:
            log.info("schedules are not handed over, but will be taken over: %r", error)
