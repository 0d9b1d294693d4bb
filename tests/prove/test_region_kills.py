"""Hundreds of random kills of one process: every open finds the last checkpoint, whole."""

from __future__ import annotations

import pytest

from tests.memory.conftest import Harness, NewPool, faulty_cores, harness, new_pool
from tests.prove.conftest import Report
from tests.prove.region_kills import hunt

__all__ = ["faulty_cores", "harness", "new_pool"]


@pytest.mark.parametrize("medium", ["dram", "file"])
def test_no_random_kill_loses_or_tears_a_checkpoint(
    new_pool: NewPool, medium: str, kills: int, until: float, report: Report
) -> None:
    tally = hunt(new_pool(medium), seed=1, kills=kills, until=until)
    report(f"random kills, medium {medium}", tally.table())


HUNT = """
from pathlib import Path
from tests.prove.region_kills import hunt
hunt(Path({pool!r}), seed=2, kills={kills})
"""


@pytest.mark.parametrize(
    "fault",
    ["skipped_page", "applied_before_commit", "roll_back_not_recorded", "gate_without_wait"],
)
def test_hunt_finds_a_core_with(new_pool: NewPool, harness: Harness, fault: str) -> None:
    found = harness(HUNT.format(pool=str(new_pool("dram")), kills=150), fault)
    assert found.returncode == 1, found.stderr
    assert "seed 2, kill" in found.stderr, found.stderr


def test_the_same_hunt_finds_nothing_in_the_core_as_it_is(
    new_pool: NewPool, harness: Harness
) -> None:
    found = harness(HUNT.format(pool=str(new_pool("dram")), kills=100), None)
    assert found.returncode == 0, found.stderr
