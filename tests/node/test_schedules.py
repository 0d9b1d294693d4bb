"""A schedule that runs twice at once, not at all, or lets go what it should not."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import numpy as np
import pytest

from mmsnap import aio
from mmsnap.catalog import SqliteCatalog
from mmsnap.errors import NotFoundError, UnsupportedError
from mmsnap.node.agent import CATALOG_FILE
from mmsnap.node.scheduled_run import AWAY_SECONDS, LABEL, Absence
from mmsnap.node.silence import Silence
from mmsnap.node.timetable import BACK_OFF_MAX_NS, Timetable, first_ns
from mmsnap_sdk.service_records import GroupCheckpoint, Schedule
from tests.node.pool_site import Site


def scheduled(site: Site) -> list[GroupCheckpoint]:
    return [each for each in site.client.checkpoints("g") if LABEL in each.labels]


def now(site: Site) -> Schedule:
    (found,) = site.client.schedules("g")
    return found


def await_runs(site: Site, count: int, within: float = 15.0) -> list[GroupCheckpoint]:
    """That many more checkpoints of the schedule than there were, whatever retention lets go."""
    last = max((each.epoch for each in scheduled(site)), default=0)
    seen: dict[int, GroupCheckpoint] = {}

    def enough() -> bool:
        seen.update({each.epoch: each for each in scheduled(site) if each.epoch > last})
        return len(seen) >= count

    site.until(enough, f"{count} runs", within)
    return [seen[epoch] for epoch in sorted(seen)]


def test_what_is_missed_is_not_made_up_for() -> None:
    table = Timetable(10, 100)
    table.ended(104, 0)
    assert table.due_ns == 110
    table.ended(137, 0)  # took longer than two intervals
    assert table.due_ns == 140
    table.ended(140, 0)
    assert table.due_ns == 150, "followed at once by none"


def test_failures_wait_longer_each_time_up_to_a_bound_and_on_the_grid() -> None:
    second = 10**9
    table = Timetable(second, 0)
    waits = []
    for failures in (1, 2, 3, 4, 50):
        table.ended(0, failures)
        waits.append(table.due_ns // second)
        assert table.due_ns % second == 0
    assert waits == [1, 2, 3, 5, BACK_OFF_MAX_NS // second + 1]
    table.nudged(5)
    assert table.due_ns == second
    table.nudged(3 * second)
    assert table.due_ns == second, "what is due sooner stays so"


def test_who_takes_over_begins_when_it_would_have_been_due() -> None:
    assert first_ns(100, 1000, None) == 1100
    assert first_ns(100, 1000, 30) == 1070
    assert first_ns(100, 1000, 10**6) == 1000
    assert first_ns(100, 1000, -5) == 1100, "the clock of whoever ran it before is ahead"


def test_a_node_is_silent_as_long_as_its_number_stands_still() -> None:
    silence = Silence()
    for now in range(7):
        silence.heard({"a": 1 if now < 4 else 2, "b": 7}, now)
    assert (silence.seconds("a", 6.0), silence.seconds("b", 6.0)) == (2.0, 6.0)
    assert silence.seconds("never", 6.0) == 0.0
    assert silence.seconds("never", 9.0) == 3.0
    # The catalog was away, or this node was: that nothing was heard says nothing.
    silence.heard({"a": 2, "b": 7}, 60.0)
    assert (silence.seconds("a", 61.0), silence.seconds("b", 61.0)) == (1.0, 1.0)


def test_every_second_is_every_second_and_the_last_stay(trio: Site) -> None:
    made = trio.client.set_schedule("g", every="1s", keep_last=3, labels={"by": "test"})
    assert (made.every, made.keep_last) == (timedelta(seconds=1), 3)
    runs = await_runs(trio, 5)
    gaps = np.diff([each.created.timestamp() for each in runs])
    assert np.all(np.abs(gaps - 1.0) < 0.2), gaps
    # No run moves the later ones: what is late now is not late for ever.
    assert abs((runs[-1].created - runs[0].created).total_seconds() - (len(runs) - 1)) < 0.2
    assert runs[-1].labels == {"by": "test", LABEL: "1.0 s"}
    trio.until(lambda: len(scheduled(trio)) <= 3, "only the last three stay")
    trio.until(lambda: now(trio).last_checkpoint == scheduled(trio)[-1].name, "it is told")
    assert (now(trio).consecutive_failures, now(trio).last_error) == (0, "")


def test_retention_lets_go_only_what_a_schedule_made(trio: Site) -> None:
    automatic = trio.client.checkpoint("g").epoch
    named = trio.client.checkpoint("g", "named").epoch
    trio.client.set_schedule("g", every="50ms", keep_last=2)
    pinned = await_runs(trio, 1)[-1].epoch
    trio.client.pin("g", f"@{pinned}")
    await_runs(trio, 8)
    trio.client.remove_schedule("g")
    left = [each.epoch for each in trio.client.checkpoints("g")]
    assert left[:3] == [automatic, named, pinned]
    assert len(left) <= 6, "the last two, and one whose run was under way"


def test_the_head_that_was_restored_is_never_let_go(trio: Site) -> None:
    trio.client.set_schedule("g", every="50ms", keep_last=2)
    await_runs(trio, 3)
    trio.client.set_schedule("g", every="24h", keep_last=1)
    time.sleep(0.3)  # one may have been under way
    older, newer = scheduled(trio)[-2:]
    trio.client.restore("g", f"@{older.epoch}")
    assert older.epoch not in {each.epoch for each in trio.client.prune("g", keep_last=1)}
    assert [each.epoch for each in scheduled(trio)] == [older.epoch, newer.epoch]
    trio.client.set_schedule("g", every="1s", keep_last=1)
    # Its parent was the head, so it was there when it was cut.
    (first,) = await_runs(trio, 1)
    assert first.parent == older.epoch
    trio.until(lambda: len(scheduled(trio)) == 1, "retention lets go what nobody needs")


def test_what_is_suspended_begins_nothing_more(trio: Site) -> None:
    trio.client.set_schedule("g", every="50ms")
    await_runs(trio, 3)
    assert trio.client.set_schedule("g", every="50ms", suspended=True).suspended
    time.sleep(0.2)  # one may have been in its turn
    before = trio.client.checkpoints("g")
    time.sleep(0.5)
    assert trio.client.checkpoints("g") == before
    trio.client.set_schedule("g", every="50ms")
    await_runs(trio, 2)


def test_it_goes_on_after_the_service_was_killed(trio: Site) -> None:
    trio.client.set_schedule("g", every="200ms", keep_last=4, max_pause="5s")
    await_runs(trio, 2)
    before = now(trio)
    trio.kill_agent()
    trio.start_agent()
    trio.until(trio.all_attached, "all are back")
    await_runs(trio, 2)
    after = now(trio)
    assert (after.every, after.keep_last, after.max_pause) == (
        before.every, before.keep_last, before.max_pause,
    )  # fmt: skip


def test_failures_are_counted_and_end_when_the_member_is_back(trio: Site) -> None:
    trio.client.set_schedule("g", every="100ms")
    await_runs(trio, 2)
    trio.kill_workers("b")
    trio.until(lambda: now(trio).consecutive_failures >= 7, "failures are counted")
    assert "member b is lost" in now(trio).last_error
    last = now(trio).last_checkpoint
    assert last in [each.name for each in trio.client.checkpoints("g")]
    # It was to wait for three seconds by now: they are not waited for.
    trio.start_workers("b")
    started = time.monotonic()
    trio.until(lambda: now(trio).consecutive_failures == 0, "it goes on")
    assert time.monotonic() - started < 1.0
    assert now(trio).last_error == ""


def test_an_update_that_is_left_half_done_stops_it_and_costs_no_sound_checkpoint(
    trio: Site,
) -> None:
    trio.client.set_schedule("g", every="50ms", keep_last=3)
    await_runs(trio, 3)
    trio.workers["b"].ask("escape")
    trio.until(lambda: now(trio).consecutive_failures >= 3, "that is told")
    assert "half done" in now(trio).last_error
    before = trio.client.checkpoints("g")
    assert {each.consistency for each in before} == {"application"}
    trio.client.set_schedule("g", every="60ms", keep_last=3)  # no wait for longer each time
    failures = now(trio).consecutive_failures
    trio.until(lambda: now(trio).consecutive_failures > failures, "it is tried again")
    assert trio.client.checkpoints("g") == before
    torn = trio.client.checkpoint("g")
    assert torn.consistency == "crash", "who asks for one has it"
    trio.client.restore("g")
    failures = now(trio).consecutive_failures
    trio.until(lambda: now(trio).consecutive_failures > failures, "it is half done there too")
    assert trio.client.find("g").epoch == torn.epoch
    trio.client.restore("g", f"@{before[-1].epoch}")
    assert {each.consistency for each in await_runs(trio, 3)} == {"application"}
    assert now(trio).consecutive_failures == 0


def test_who_left_in_order_finds_its_part_in_the_head_when_it_is_back(trio: Site) -> None:
    trio.client.set_schedule("g", every="50ms")
    await_runs(trio, 3)
    trio.workers["b"].ask("close")
    trio.until(lambda: trio.states().get("b") == "left", "b left")
    time.sleep(1)
    assert {part.member for part in trio.client.find("g").members} == {"a", "b", "c"}
    assert now(trio).consecutive_failures == 0
    trio.start_workers("b")
    assert trio.workers["b"].ask("show")["restored"]
    assert len(await_runs(trio, 2)[-1].members) == 3


def test_who_stays_away_is_not_waited_for_for_ever() -> None:
    absence = Absence()
    b = frozenset({"b"})
    assert absence.is_waited_for(b, 10.0)
    assert absence.is_waited_for(b, 10.0 + AWAY_SECONDS - 1)
    assert not absence.is_waited_for(b, 10.0 + AWAY_SECONDS)
    assert absence.is_waited_for(b | {"c"}, 300.0)
    assert not absence.is_waited_for(frozenset(), 301.0)
    assert absence.is_waited_for(b, 302.0), "it came, and left again"


def test_restores_and_runs_take_turns(trio: Site) -> None:
    trio.client.set_schedule("g", every="50ms", keep_last=5)
    await_runs(trio, 3)
    for _ in range(10):
        restored = trio.client.restore("g")
        assert restored.behind == ()
    await_runs(trio, 3)
    assert now(trio).consecutive_failures == 0
    trio.client.remove_schedule("g")
    time.sleep(0.5)  # one may have been under way
    epochs = [each.epoch for each in trio.client.checkpoints("g")]
    for epoch in epochs[-3:]:
        trio.assert_one_instant(epoch, trio.workers)


def test_while_a_restore_waits_for_programs_nothing_is_taken(site: Site) -> None:
    site.start_workers("a")
    site.client.set_schedule("g", every="50ms")
    await_runs(site, 2)
    site.kill_agent()
    catalog = SqliteCatalog(site.pool / CATALOG_FILE)
    newest = catalog.find("g").epoch
    catalog.set_pending("g", newest)
    catalog.close()
    site.start_agent()
    site.until(site.all_attached, "it is back")
    time.sleep(0.5)
    assert site.client.find("g").epoch == newest
    assert (now(site).waiting, now(site).consecutive_failures) == (True, 0)
    site.client.restore("g")
    await_runs(site, 2)
    assert not now(site).waiting


def test_what_can_not_be_is_refused(trio: Site) -> None:
    client = trio.client
    for every in ("49ms", "0s", "25h"):
        with pytest.raises(ValueError, match="50 ms to every day"):
            client.set_schedule("g", every=every)
    with pytest.raises(ValueError, match="keep_last"):
        client.set_schedule("g", every="1s", keep_last=0)
    with pytest.raises(UnsupportedError, match="alone"):
        client.set_schedule("g", every="1s", replicas=1)
    with pytest.raises(UnsupportedError, match="durable"):
        client.set_schedule("g", every="1s", wait="durable")
    with pytest.raises(NotFoundError):
        client.set_schedule("other", every="1s")
    with pytest.raises(NotFoundError, match="no schedule"):
        client.remove_schedule("g")
    with pytest.raises(NotFoundError):
        client.schedules("other")
    assert client.schedules("g") == client.schedules() == []


def test_the_asyncio_client_does_the_same(trio: Site) -> None:
    async def use() -> None:
        async with aio.Client(trio.address) as client:
            made = await client.set_schedule("g", every="1h", keep_within="7d")
            assert (made.keep_last, made.keep_within) == (None, timedelta(days=7))
            assert await client.schedules("g") == await client.schedules() == [made]
            await client.remove_schedule("g")
            assert await client.schedules() == []

    asyncio.run(use())
