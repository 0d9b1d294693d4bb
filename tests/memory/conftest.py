"""What the tests of the memory engine share: fresh pools, and cores with a fault."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM_BYTES = 1 << 30
ROOT = Path(__file__).parents[2]

NewPool = Callable[[str], Path]
Harness = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def new_pool() -> Iterator[NewPool]:
    """Makes pools: in memory for "dram", where there is room, or beside the sources for "file"."""
    folders: list[str] = []

    def make(medium: str) -> Path:
        in_memory = medium == "dram" and shutil.disk_usage(MEMORY).free > ROOM_BYTES
        place = MEMORY if in_memory else ROOT / "build"  # /tmp may be a memory file system
        place.mkdir(exist_ok=True)
        folders.append(tempfile.mkdtemp(prefix="mmsnap-test-", dir=place))
        return Path(folders[-1]) / "pool"

    yield make
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture
def pool(new_pool: NewPool) -> Path:
    return new_pool("dram")


@pytest.fixture(scope="session")
def faulty_cores() -> Path:
    """The folder with the cores that native/tests/faults describes."""
    folder = ROOT / "build" / "faults"
    commands = [
        ["cmake", "-S", str(ROOT / "native"), "-B", str(folder), "-DMMSNAP_SEED_FAULTS=ON"],
        ["cmake", "--build", str(folder), "--parallel", "2"],
    ]
    for command in commands:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture
def harness(faulty_cores: Path) -> Harness:
    """Runs a statement of Python in a process of its own, over a core with a fault or none."""

    def run(statement: str, fault: str | None) -> subprocess.CompletedProcess[str]:
        preload = {"LD_PRELOAD": str(faulty_cores / fault / "libmmsnap.so")} if fault else {}
        return subprocess.run(
            [sys.executable, "-c", statement],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **preload},
        )

    return run
