"""When runs of CheckpointSchedules are due, and what goes: none twice, none that is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.schedules.agents_schedule import condition_of, require_ours, wanted_of
from mmsnap_operator.schedules.restores import restore_under_way
from mmsnap_operator.schedules.retention import superfluous
from mmsnap_operator.schedules.runs import request_of, runs_of
from mmsnap_operator.schedules.timing import Cron, Interval, timing_of
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import Schedule

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SOURCE = {"kind": "StatefulSet", "name": "hz"}


def at(minutes: float, seconds: float = 0) -> datetime:
    return NOON + timedelta(minutes=minutes, seconds=seconds)


class TestTiming:
    def test_an_interval_is_due_once_however_long_nobody_looked(self) -> None:
        timing = Interval(timedelta(minutes=5))
        assert timing.due(NOON, at(4.9)) is None
        assert timing.due(NOON, at(5)) == at(5)
        assert timing.due(NOON, at(23)) == at(20), "one for all that was missed"
        assert timing.due(at(20), at(23)) is None
        assert timing.next(NOON, at(23)) == at(25)

    def test_cron_is_due_in_its_second_and_not_twice(self) -> None:
        timing = timing_of({"schedule": "*/5 * * * *"})
        assert isinstance(timing, Cron)
        assert timing.due(at(-1), NOON) == NOON
        assert timing.due(at(-1), at(0, 0.5)) == NOON
        assert timing.due(NOON, at(4, 59.9)) is None
        assert timing.due(NOON, at(13)) == at(10)
        assert timing.next(NOON, NOON) == at(5)

    def test_what_is_due_at_night_is_not_made_up_for_at_noon(self) -> None:
        timing = timing_of({"schedule": "0 3 * * *"})
        yesterday = NOON - timedelta(days=1)
        night = NOON.replace(hour=3)
        assert timing.due(yesterday, night + timedelta(minutes=9)) == night
        assert timing.due(yesterday, night + timedelta(minutes=11)) is None
        assert timing.due(yesterday, NOON) is None

    def test_hours_are_those_of_the_time_zone(self) -> None:
        timing = timing_of({"schedule": "30 9 * * *", "timeZone": "Asia/Kolkata"})
        assert timing.next(NOON, NOON) == datetime(2026, 6, 2, 4, 0, tzinfo=UTC)

    def test_the_hour_that_is_there_twice_has_one_run_and_the_missing_one_too(self) -> None:
        timing = timing_of({"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"})
        zone = ZoneInfo("Europe/Berlin")
        for day in (datetime(2026, 10, 25, tzinfo=zone), datetime(2026, 3, 29, tzinfo=zone)):
            seen = set()
            since = now = day.astimezone(UTC)
            for _ in range(24 * 12):
                now += timedelta(minutes=5)
                due = timing.due(since, now)
                if due is not None:
                    seen.add(due)
                    since = due
            assert len(seen) == 1, day

    def test_years_of_absence_cost_nothing(self) -> None:
        timing = timing_of({"schedule": "* * * * *"})
        assert timing.due(datetime(1990, 1, 1, tzinfo=UTC), NOON) == NOON

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            ({"schedule": "61 * * * *"}, "ScheduleInvalid"),
            ({"schedule": "* * * *"}, "ScheduleInvalid"),
            ({"schedule": "* * * * * *"}, "ScheduleInvalid"),
            ({"schedule": "0 0 * * *", "timeZone": "Mars/Olympus"}, "TimeZoneUnknown"),
            ({"schedule": "0 0 * * *", "timeZone": "../../etc/passwd"}, "TimeZoneUnknown"),
            ({"interval": "0s"}, "IntervalInvalid"),
        ],
    )
    def test_what_says_no_time_is_told(self, spec: dict[str, str], reason: str) -> None:
        with pytest.raises(Refused) as told:
            timing_of(spec)
        assert told.value.reason == reason

    def test_under_a_minute_the_agents_keep_it(self) -> None:
        kept = [timing_of({"interval": text}) for text in ("50ms", "59.9s", "60s", "1m", "1h")]
        assert [isinstance(one, Interval) and one.is_of_agents for one in kept] == [
            *(True, True, False, False, False),
        ]


def schedule(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "often",
            "namespace": "demo",
            "uid": "u1",
            "generation": 1,
            "creationTimestamp": "2026-06-01T12:00:00Z",
        },
        "spec": {"template": {"spec": {"source": SOURCE}}, **spec},
    }


def request(due: int, failures: int = 0, ended: str = "") -> dict[str, Any]:
    made = request_of(schedule(interval="1h"), at(due), failures)
    made["metadata"]["creationTimestamp"] = at(due).isoformat()
    made["metadata"]["uid"] = f"r{due}"
    conditions = [{"type": ended, "status": "True", "message": "a is lost"}] if ended else []
    made["status"] = {"conditions": conditions}
    return made


class TestRuns:
    def test_a_run_has_one_request_whoever_makes_it(self) -> None:
        one, other = (request_of(schedule(interval="1h"), at(60), n) for n in (0, 0))
        assert one == other
        assert one["metadata"]["annotations"][SCHEDULE_LABEL] == "demo.often"
        assert one["metadata"]["ownerReferences"][0]["uid"] == "u1"
        long = schedule(interval="1h")
        long["metadata"]["name"] = "x" * 253
        assert len(request_of(long, at(60), 0)["metadata"]["name"]) < 253

    def test_failures_in_a_row_are_counted_from_the_requests_alone(self) -> None:
        before = [request(1, 0, "Complete"), request(2, 0, "Failed"), request(3, 1, "Failed")]
        assert runs_of(before, "u1").failures(0) == 2
        assert runs_of([*before, request(4, 2)], "u1").failures(0) == 2, "one is under way"
        assert runs_of([*before, request(4, 2, "Complete")], "u1").failures(9) == 0
        assert runs_of([], "u1").failures(5) == 5, "all were deleted"
        assert runs_of(before, "somebody else").failures(0) == 0

    def test_the_last_ones_stay_to_be_looked_at(self) -> None:
        runs = runs_of([request(n, 0, "Complete") for n in range(6)], "u1")
        assert [one["metadata"]["uid"] for one in runs.superfluous] == ["r2", "r1", "r0"]
        assert runs.success == runs.finished[0]


def kept(epoch: int, *, age_minutes: int = 0, ready: bool = True, **spec: Any) -> dict[str, Any]:
    status = "True" if ready else "False"
    return {
        "metadata": {"name": f"c{epoch}", "creationTimestamp": "2026-06-01T12:00:00Z"},
        "spec": {"group": "g", "epoch": epoch, **spec},
        "status": {
            "createdTime": at(-age_minutes).isoformat(),
            "conditions": [{"type": "Ready", "status": status}],
        },
    }


def is_now(checkpoint: dict[str, Any], **status: str) -> dict[str, Any]:
    checkpoint["status"] |= status
    return checkpoint


def gone(
    there: list[dict[str, Any]], retention: dict[str, Any] | None, now: datetime, **asked: str
) -> list[str]:
    spec = {"retention": retention, "template": {"spec": {"source": SOURCE, **asked}}}
    return [one["metadata"]["name"] for one in superfluous(there, spec, now)]


class TestRetention:
    def test_what_either_rule_keeps_stays(self) -> None:
        there = [kept(n, age_minutes=60 - n) for n in range(1, 7)]
        assert gone(there, {"keepLast": 2}, NOON) == ["c1", "c2", "c3", "c4"]
        assert gone(there, {"keepLast": 2, "keepWithin": "57m"}, NOON) == ["c1", "c2"]
        assert gone(there, None, NOON) == []

    def test_the_newest_that_can_be_restored_stays_whatever_is_asked_for(self) -> None:
        there = [kept(1), kept(2), kept(3, ready=False), kept(4, ready=False)]
        assert gone(there, {"keepLast": 1}, NOON) == ["c1", "c3"]
        assert gone(there, {"keepWithin": "0s"}, at(5)) == ["c1", "c3", "c4"]

    def test_what_is_pinned_stays(self) -> None:
        there = [kept(1, pinned=True), kept(2), kept(3)]
        assert gone(there, {"keepLast": 1}, NOON) == ["c2"]

    @pytest.mark.parametrize(
        "lack", [{"consistency": "Crash"}, {"durability": "Captured"}, {"ready": False}]
    )
    def test_those_whose_requests_failed_do_not_take_the_places_of_the_good_ones(
        self, lack: dict[str, Any]
    ) -> None:
        good = {"consistency": "Application", "durability": "Replicated"}
        there = [is_now(kept(n, age_minutes=90 - n), **good) for n in range(1, 5)]
        ready = lack.pop("ready", True)
        there += [is_now(kept(n, ready=ready), **{**good, **lack}) for n in range(5, 10)]
        asked = {"consistency": "Application", "durability": "Durable"}
        assert gone(there, {"keepLast": 2}, NOON, **asked) == ["c1", "c2", "c5", "c6", "c7"]
        newest = gone(there, {"keepWithin": "1h"}, NOON, **asked)
        assert newest == ["c1", "c2", "c3"], "the last good one stays, however old"


def told(**more: Any) -> Schedule:
    fields: dict[str, Any] = {
        "group": "demo--hz", "every": timedelta(seconds=1), "keep_last": 10, "keep_within": None,
        "wait": "captured", "timeout": timedelta(seconds=60), "max_pause": None, "replicas": 1,
        "labels": {SCHEDULE_LABEL: "demo.often"}, "suspended": False, "waiting": False,
        "node": "n1", "consecutive_failures": 0, "last_error": "", "last_checkpoint": "",
        "last_success": None,
    }  # fmt: skip
    return Schedule(**{**fields, **more})


class TestByAgents:
    def test_what_the_agents_have_is_set_again_only_when_it_differs(self) -> None:
        timing = Interval(timedelta(seconds=1))
        spec = schedule(interval="1s")["spec"]
        wanted = wanted_of(spec, "demo.often", timing, suspended=False)
        assert wanted.is_kept(told())
        for other in (
            {"suspended": True}, {"keep_last": 3}, {"every": timedelta(seconds=2)},
            {"labels": {}}, {"max_pause": timedelta(seconds=1)},
        ):  # fmt: skip
            assert not wanted.is_kept(told(**other)), other
        more = {"source": SOURCE, "replicas": 2, "durability": "Replicated"}
        wanted = wanted_of({"template": {"spec": more}}, "demo.often", timing, suspended=False)
        assert (wanted.wait, wanted.replicas) == ("replicated", 2)
        assert not wanted.is_kept(told(wait="replicated"))

    def test_a_schedule_of_somebody_else_is_not_taken_over(self) -> None:
        require_ours([told()], "demo.often", "demo--hz")
        for labels in ({}, {SCHEDULE_LABEL: "demo.other"}):
            with pytest.raises(Refused, match="has a schedule already"):
                require_ours([told(labels=labels)], "demo.often", "demo--hz")

    def test_failures_are_said(self) -> None:
        failing = condition_of(told(consecutive_failures=3, last_error="b is lost"), {}, None, "")
        assert (failing.holds, failing.reason) == (False, "Failing")
        assert "b is lost" in failing.message
        assert condition_of(told(suspended=True), {}, None, "none is taken").holds


def restore(**more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "metadata": {"name": "back", "namespace": "demo"},
        "spec": {"source": {"checkpointName": "c"}},
    }
    return {**made, **more}


def test_a_restore_of_the_group_or_of_what_it_has_is_given_way_to() -> None:
    def way(one: dict[str, Any]) -> str:
        return restore_under_way([one], "demo", "often", "demo--hz")

    assert way(restore()) == ""
    assert way(restore(status={"group": "demo--hz"})) == "demo/back"
    assert way(restore(status={"group": "x", "sourceGroup": "demo--hz"})) == "demo/back"
    assert way(restore(spec={"source": {"scheduleName": "often"}})) == "demo/back"
    elsewhere = {"source": {"namespace": "other", "scheduleName": "often"}}
    assert way(restore(spec=elsewhere)) == ""
    over = [{"type": "Complete", "status": "True"}]
    assert way(restore(status={"group": "demo--hz", "conditions": over})) == ""
