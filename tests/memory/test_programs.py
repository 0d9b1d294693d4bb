"""The fear: a sequence of ordinary steps after which a region is not what plain memory would be."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory import plain
from tests.memory.conftest import NewPool


def on_both_media(dram: range, file: range) -> list[tuple[str, int]]:
    return [("dram", seed) for seed in dram] + [("file", seed) for seed in file]


@pytest.mark.parametrize(("medium", "seed"), on_both_media(range(16), range(3)))
def test_random_program_equals_plain_memory(new_pool: NewPool, medium: str, seed: int) -> None:
    plain.run(new_pool(medium), seed, steps=120)


CHILD = """
import os, sys
from pathlib import Path
from tests.memory import plain

pool, seed, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
program = plain.Program(seed)
region = plain.open_region(pool)
for _ in range(steps):
    region = program.next_step().real(region)
    os.write(1, b".")
os.write(1, b"!")
os.read(0, 1)
"""


def steps_done_before_kill(pool: Path, seed: int, steps: int) -> int:
    """Runs a program in a child that is killed at a random moment."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(pool), str(seed), str(steps)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout
    done = child.stdout.read(random.Random(seed).randrange(1, steps))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done += child.stdout.read()
    return done.count(b".")


def program_after(seed: int, steps: int) -> plain.Program:
    program = plain.Program(seed)
    for _ in range(steps):
        program.next_step()
    return program


def durable(state: plain.Plain) -> tuple[int, list[int], list[int]]:
    return state.head, sorted(state.kept), sorted(state.pinned & set(state.kept))


@pytest.mark.parametrize(("medium", "seed"), on_both_media(range(100, 106), range(106, 108)))
def test_killed_program_is_found_after_its_last_step_or_the_one_under_way(
    new_pool: NewPool, medium: str, seed: int
) -> None:
    pool = new_pool(medium)
    done = steps_done_before_kill(pool, seed, steps=150)
    candidates = [program_after(seed, done).plain, program_after(seed, done + 1).plain]
    region = plain.open_region(pool)
    found = (
        region.head.epoch if region.head else 0,
        [record.epoch for record in region.checkpoints()],
        [record.epoch for record in region.checkpoints() if record.pinned],
    )
    state = next(state for state in candidates if durable(state) == found)
    # A region that grew, and was killed before its next checkpoint, stays grown.
    state.now = state.now if state.now.size == region.extent_bytes else candidates[1].now
    state.show_head()
    plain.assert_shows(region, state.now)
    plain.assert_keeps(region, state)
    region.verify()
    region.close()
