"""The fear: a schedule that ends for good by what went wrong once, or lets go by an old rule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from mmsnap.catalog import ScheduleOutcome
from mmsnap.errors import UnsupportedError
from mmsnap.node.keeper import Keeper
from mmsnap.node.metrics import Metrics
from mmsnap.node.scheduled_run import FAILED, Absence, run_once
from mmsnap.node.timetable import Timetable
from tests.catalog.test_schedules import SCHEDULE
from tests.node.pool_site import Site
from tests.node.test_schedules import await_runs, now, scheduled


@contextmanager
def troubled(fault: str) -> Iterator[Site]:
    site = Site(fault)
    try:
        site.start_agent()
        site.start_workers("a")
        yield site
    finally:
        site.close()


def epochs(site: Site) -> list[int]:
    return [each.epoch for each in scheduled(site)]


def groups_that(group: Callable[[str], Any]) -> Any:
    return SimpleNamespace(group=group, desk=SimpleNamespace(metrics=Metrics()))


def test_it_goes_on_when_how_it_goes_can_not_be_written() -> None:
    with troubled("medium is full for a while") as site:
        site.client.set_schedule("g", every="50ms")
        await_runs(site, 5)
        site.until(lambda: now(site).last_checkpoint != "", "it is told when there is room again")
        assert "disk is full" in site.said()
        assert site.stop_agent() == 0


def test_what_can_not_even_begin_is_a_failure() -> None:
    def refuse(name: str) -> Any:
        raise UnsupportedError("a service has at most 256 groups")

    run = asyncio.run(run_once(groups_that(refuse), SCHEDULE, ScheduleOutcome(), Absence()))
    assert (run.result, run.outcome.failures) == (FAILED, 1)
    assert "256" in run.outcome.error


def test_whatever_goes_wrong_in_a_run_it_is_run_again() -> None:
    async def story() -> None:
        groups = groups_that(lambda name: 1 / 0)
        runs: asyncio.Queue[str] = asyncio.Queue()

        def scheduled(result: str, late_seconds: float) -> None:
            runs.put_nowait(result)
            raise RuntimeError("a fault of the test")

        groups.desk.metrics = SimpleNamespace(scheduled=scheduled)
        keeper = Keeper(groups, SCHEDULE, ScheduleOutcome(0, "", "c", time.time_ns() - 10**9))
        async with asyncio.timeout(10):
            assert [await runs.get(), await runs.get()] == [FAILED] * 2
        await keeper.stop()

    asyncio.run(story())


def test_who_waits_for_its_end_can_stop_waiting() -> None:
    async def story() -> None:
        keeper = Keeper(groups_that(lambda name: 1 / 0), SCHEDULE, ScheduleOutcome())
        stopping = asyncio.create_task(keeper.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait({stopping})
        assert stopping.cancelled()

    asyncio.run(story())


def test_what_is_let_go_is_what_the_schedule_says_then() -> None:
    with troubled("lets go late") as site:
        site.client.set_schedule("g", every="50ms", keep_last=50)
        await_runs(site, 3)
        site.client.set_schedule("g", every="50ms", keep_last=1)
        await_runs(site, 1)
        site.client.set_schedule("g", every="50ms", keep_last=50)
        there = epochs(site)
        assert len(there) >= 4
        await_runs(site, 2)
        assert epochs(site)[: len(there)] == there
        site.client.set_schedule("g", every="50ms", keep_last=1)
        await_runs(site, 1)
        site.client.remove_schedule("g")
        there = epochs(site)
        assert len(there) >= 4
        time.sleep(1.5)
        assert epochs(site) == there


def test_what_is_committed_is_told_though_nothing_could_be_let_go() -> None:
    with troubled("is too busy to let go") as site:
        site.client.set_schedule("g", every="50ms")
        taken = await_runs(site, 2)[-1]
        site.until(lambda: now(site).last_checkpoint >= taken.name, "it is told")


def test_what_is_postponed_is_not_looked_at_all_the_time() -> None:
    table = Timetable(50, 0)
    table.ended(120, 0, postponed=True)
    assert 10**9 + 50 <= table.due_ns <= 10**9 + 170
    table.nudged(130)
    assert table.due_ns == 150
    table = Timetable(5 * 10**9, 0)
    table.ended(120, 0, postponed=True)
    assert table.due_ns == 5 * 10**9


def test_when_all_left_they_are_waited_for_as_well() -> None:
    with troubled("") as site:
        site.client.set_schedule("g", every="50ms")
        await_runs(site, 2)
        site.workers["a"].ask("close")
        site.until(lambda: site.states().get("a") == "left", "a left")
        time.sleep(1.0)
        assert (now(site).consecutive_failures, now(site).last_error) == (0, "")
        site.start_workers("a")
        await_runs(site, 2, within=1.5)
