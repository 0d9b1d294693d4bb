"""The real `mmsnap`, run as a user types it, and what its tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MMSNAP = Path(sys.executable).with_name("mmsnap")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a user who has set nothing of mmsnap's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MMSNAP_")}


@pytest.fixture
def mmsnap(environment: dict[str, str]) -> Run:
    """Runs `mmsnap` with arguments to its end, without a terminal."""

    def run(*arguments: str | Path, **overrides: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MMSNAP, *arguments],
            env=environment | overrides,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A fresh folder on a memory file system, where pools of medium dram can be."""
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-cli-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)
