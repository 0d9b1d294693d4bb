"""The demo's promise as a test, on a slice of the flights, and the proof that the test can fail."""

from __future__ import annotations

import json

import pytest

from mmsnap.demo.main import DemoOptions, DemoResult, run
from mmsnap.demo.report import Screen
from mmsnap.demo.trials import Pace

FLIGHTS = 20_000
UPDATES = 3 * FLIGHTS


@pytest.fixture(scope="module")
def result() -> DemoResult:
    return run(
        DemoOptions(flights=FLIGHTS, pace=Pace(seconds=1.5, every_seconds=0.06, kills=1), seed=5)
    )


def test_an_undisturbed_group_adds_up_to_what_the_flights_do(result: DemoResult) -> None:
    assert result.undisturbed.equal
    assert result.undisturbed.course.cuts == []


def test_a_group_killed_and_restored_equals_it_to_the_last_bit(result: DemoResult) -> None:
    assert result.group.equal
    assert (result.group.lost, result.group.duplicated) == (0, 0)
    assert result.passed


def test_the_group_was_checkpointed_and_killed_with_messages_under_way(result: DemoResult) -> None:
    course = result.group.course
    assert len(course.cuts) >= 5
    assert len(course.recoveries) == 1
    assert course.resent > 0
    assert course.missing == 0


def test_processes_checkpointed_one_by_one_do_not_add_up(result: DemoResult) -> None:
    """The negative control: the comparison is able to fail, with the same workers and flights."""
    alone = result.one_by_one
    assert not alone.equal
    assert alone.lost + alone.duplicated > 0
    assert len(alone.course.cuts) > len(result.group.course.cuts)


def test_the_json_tells_every_act(result: DemoResult, capsys: pytest.CaptureFixture[str]) -> None:
    Screen().show_json(result.trials, passed=result.passed)
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True
    undisturbed, group, one_by_one = document["trials"]
    assert undisturbed["checkpoints"] == 0
    assert group["equal"] is True
    assert group["pause_ns"]["median"] > 0
    assert len(group["recoveries"]) == 1
    assert one_by_one["checkpoints"] > 0
