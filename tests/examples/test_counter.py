"""The quickstart does what it says: killed at any moment and run again, it counts exactly."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmsnap

ROOT = Path(__file__).parents[2]
COUNTER = ROOT / "examples" / "counter.py"


@pytest.fixture
def folder() -> Iterator[Path]:
    """On the file system of the checkout: the quickstart asks for durability."""
    folder = Path(tempfile.mkdtemp(prefix=".counter-", dir=ROOT))
    yield folder
    shutil.rmtree(folder)


def wait_for_a_checkpoint(pool: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            mmsnap.open(pool, "counter", mode="r").close()
        except mmsnap.NotFoundError:
            time.sleep(0.02)
        else:
            return
    pytest.fail("no automatic checkpoint was taken")


@pytest.mark.parametrize("seed", [1, 2])
def test_run_it_kill_it_run_it_again(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    resumed = 0
    for run in range(3):
        counter = subprocess.Popen(
            [sys.executable, "-u", COUNTER], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        if run == 0:
            wait_for_a_checkpoint(folder / "pool")
        time.sleep(rng.uniform(0, 0.9))
        counter.send_signal(signal.SIGKILL)
        output, _ = counter.communicate(timeout=60)
        resumed += output.startswith("resumed")
    done = subprocess.run(
        [sys.executable, COUNTER], cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("done ")
    with mmsnap.open(folder / "pool", "counter", mode="r") as app:
        assert app.state["n"] == 50_000_000
        assert app.array("hits").sum() == 50_000_000
    assert resumed > 0, "no run was killed after its first checkpoint: the test showed nothing"
