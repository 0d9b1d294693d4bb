"""The harnesses are worth something only if they fail on a core that is wrong.

Each fault of native/tests/faults is loaded in place of the core, and one harness must find it;
over the core as it is, the same run finds nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memory.conftest import Harness

HARNESSES = {
    "programs": "plain.run(Path(pool) / str(seed), seed, steps=120)",
    "readers": "watched.watch(Path(pool) / str(seed), seed)",
    "halves": "halves.hunt(Path(pool) / str(seed))",
    "damage": "damage.hunt(Path(pool) / str(seed), seed, tries=25)",
    "damaged journals": "damage.hunt(Path(pool) / str(seed), seed, tries=25, names='journal*')",
}
STATEMENT = """
from pathlib import Path
from tests.memory import damage, halves, plain, watched
pool = {pool!r}
for seed in range({seeds}):
    {call}
"""


def statement(name: str, pool: Path, seeds: int) -> str:
    return STATEMENT.format(pool=str(pool), seeds=seeds, call=HARNESSES[name])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("programs", "skipped_page"),
        ("programs", "pending_forgotten"),
        ("programs", "applied_before_commit"),
        ("programs", "roll_back_not_recorded"),
        ("readers", "pin_ignored"),
        ("halves", "gate_without_wait"),
        ("damaged journals", "journal_once"),
        ("damage", "checksum_unread"),
    ],
)
def test_harness_finds(harness: Harness, pool: Path, name: str, fault: str) -> None:
    found = harness(statement(name, pool, seeds=8), fault)
    assert found.returncode == 1, f"{fault} was not found: {found.stderr}"
    assert "Traceback" in found.stderr


@pytest.mark.parametrize("name", HARNESSES)
def test_harness_finds_nothing_in_the_core_as_it_is(
    harness: Harness, pool: Path, name: str
) -> None:
    found = harness(statement(name, pool, seeds=2), None)
    assert found.returncode == 0, found.stderr
