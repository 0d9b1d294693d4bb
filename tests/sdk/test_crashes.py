"""After a crash the region shows its head, whole: nothing older, nothing newer, nothing mixed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import mmsnap

from .conftest import Program

WRITER = textwrap.dedent(
    """
    import sys, numpy as np, mmsnap
    app = mmsnap.open(sys.argv[1], size="64MiB", keep_last=3)
    a = app.array("a", (50_000,), np.int64)
    rows = app.array("rows", (1, 8), np.int64) if not app.restored else app.array("rows")
    n = app.state.setdefault("n", 0)
    while True:
        n += 1
        with app.update():
            a[:: 1 + n % 7] += 1
            if n % 10 == 0:
                rows = app.resize("rows", (n, 8))
                rows[-1] = n
            app.state["n"] = n
            app.state[f"key {n % 13}"] = "x" * (n % 900)
            app.state["sum"] = int(a.sum())
        app.checkpoint(f"c{n}" if n % 5 == 0 else None)
        print(n, flush=True)
    """
)


def killed_after(pool: Path, milliseconds: float) -> int:
    """Runs the writer, kills it after its first checkpoint; returns the last one it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(pool)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline()]
        time.sleep(milliseconds / 1000)
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.stdout.readlines()
    return int([line for line in said if line.endswith("\n")][-1])


@pytest.mark.parametrize("seed", range(6))
def test_a_process_killed_at_any_moment_of_its_work(pool: Path, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(2):
        reported = killed_after(pool, rng.uniform(0, 60))
        with mmsnap.open(pool) as app:
            n = app.state["n"]
            assert n in (reported, reported + 1)
            assert app.restored is not None
            a = np.zeros(50_000, np.int64)
            for step in range(1, n + 1):
                a[:: 1 + step % 7] += 1
            assert np.array_equal(app.array("a"), a)
            assert app.state["sum"] == a.sum()
            assert app.state[f"key {n % 13}"] == "x" * (n % 900)
            if n >= 10:
                assert app.array("rows").shape == (n - n % 10, 8)
            app.close(checkpoint=False)


def test_a_crash_right_after_a_roll_back_does_not_bring_back_what_was_rolled_back(
    pool: Path, program: Program
) -> None:
    program(
        """
        import os, signal, sys, mmsnap
        app = mmsnap.open(sys.argv[1])
        app.state["n"] = 1
        app.checkpoint("one")
        app.state["n"] = 2
        app.checkpoint("two")
        app.restore("one")
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        pool,
        expect=-9,
    )
    with mmsnap.open(pool) as app:
        assert app.restored is not None
        assert (app.restored.name, app.state["n"]) == ("one", 1)
        assert [each.name for each in app.checkpoints()] == ["one", "two"]
        app.restore("two")
        assert app.state["n"] == 2


def test_what_was_not_in_a_checkpoint_is_gone_after_a_crash(pool: Path, program: Program) -> None:
    program(
        """
        import os, signal, sys, mmsnap
        app = mmsnap.open(sys.argv[1])
        app.array("a", 10, int)[:] = 1
        app.checkpoint()
        app.array("b", 10_000, int)[:] = 2
        app.resize("a", 5000)[:] = 3
        app.state["n"] = "x" * 100_000
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        pool,
        expect=-9,
    )
    with mmsnap.open(pool) as app:
        assert list(app.arrays) == ["a"]
        assert app.array("a").tolist() == [1] * 10
        assert dict(app.state) == {}
        assert not app.array("b", 20_000, np.int64).any(), "new arrays are zeros all the same"


def test_a_crash_in_the_middle_of_an_update_shows_nothing_of_it(
    pool: Path, program: Program
) -> None:
    program(
        """
        import os, signal, sys, mmsnap
        app = mmsnap.open(sys.argv[1], every="1ms")
        a = app.array("a", 10, int)
        app.checkpoint()
        with app.update():
            a[:5] = 1
            app.state["n"] = 1
            import time; time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        pool,
        expect=-9,
    )
    with mmsnap.open(pool) as app:
        assert (app.array("a").sum(), dict(app.state)) == (0, {})
