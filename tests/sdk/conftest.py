"""What the tests of the SDK share: pools in memory, and programs in processes of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pool() -> Iterator[Path]:
    """A path for a pool in memory, gone after the test."""
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-test-", dir="/dev/shm"))
    yield folder / "pool"
    shutil.rmtree(folder)


@pytest.fixture
def program() -> Program:
    """Runs Python source in a process of its own, with the given arguments."""

    def run(source: str, *arguments: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == expect, done.stderr
        return done

    return run
