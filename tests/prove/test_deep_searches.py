"""The searches that `make test` makes in a small way, made in a large one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.memory import damage, plain, watched
from tests.memory.conftest import ROOT, NewPool, new_pool
from tests.prove.conftest import Report

__all__ = ["new_pool"]

SEEDS_FROM = 10_000  # none that the quick tests use


@pytest.fixture(scope="module")
def sanitized() -> Path:
    """The folder with the core's unit tests, built under the sanitizers."""
    folder = ROOT / "build" / "sanitize"
    commands = [
        ["cmake", "-S", str(ROOT / "native"), "-B", str(folder), "-DMMSNAP_SANITIZE=ON"],
        ["cmake", "--build", str(folder), "--parallel", "2"],
    ]
    for command in commands:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.mark.parametrize(
    ("name", "argument"), [("test_kill_at_every_step", 1), ("test_damage", 100)]
)
def test_the_core_at_every_step_and_in_many_places(
    sanitized: Path, name: str, argument: int
) -> None:
    done = subprocess.run(
        [str(sanitized / name), str(argument)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_many_random_programs(new_pool: NewPool, until: float, report: Report) -> None:
    seed = SEEDS_FROM
    while time.monotonic() < until:
        plain.run(new_pool("dram"), seed, steps=400)
        seed += 1
    report("random programs", [f"{seed - SEEDS_FROM} programs of 400 steps"])


def test_many_readers(new_pool: NewPool) -> None:
    for seed in range(SEEDS_FROM, SEEDS_FROM + 20):
        watched.watch(new_pool("dram"), seed)


def test_many_damaged_files(new_pool: NewPool) -> None:
    for seed in range(SEEDS_FROM, SEEDS_FROM + 8):
        damage.hunt(new_pool("dram"), seed, tries=100)
