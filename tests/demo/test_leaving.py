"""However the demo ends, no process and no pool of it is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

COMMAND = [Path(sys.executable).with_name("mmsnap"), "demo", "--flights", "20000"]


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        COMMAND, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.wait()


@pytest.mark.parametrize(
    ("number", "when", "code"),
    [
        (signal.SIGINT, "killed all workers", 130),
        (signal.SIGTERM, "one group", 143),
        (signal.SIGHUP, "undisturbed", 143),
    ],
)
def test_interrupted_in_the_middle(
    demo: subprocess.Popen[str], number: signal.Signals, when: str, code: int
) -> None:
    folder = folder_when(demo, when)
    assert processes_with(folder)
    demo.send_signal(number)
    assert demo.wait(30) == code
    assert not folder.exists()
    assert processes_with(folder) == []


@pytest.mark.parametrize("which", ["mmsnap.demo.worker", "agent"])
def test_a_process_that_dies_fails_the_demo_loudly(demo: subprocess.Popen[str], which: str) -> None:
    folder = folder_when(demo, "one group")
    process_of(folder, which).kill()
    assert demo.wait(30) not in (0, None)
    assert demo.stderr is not None
    assert "ended as it should not" in demo.stderr.read()
    assert not folder.exists()
    assert processes_with(folder) == []


def folder_when(demo: subprocess.Popen[str], text: str) -> Path:
    """Waits until the demo says `text`; the folder that it works in."""
    folder = None
    assert demo.stderr is not None
    for line in demo.stderr:
        if "pools in " in line:
            folder = Path(line.split("pools in ")[1].split(",")[0])
        if text in line:
            assert folder is not None
            return folder
    raise AssertionError(f"the demo never said {text!r}")


def process_of(folder: Path, argument: str) -> psutil.Process:
    """One that was started with this argument, as soon as there is one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for process in processes_with(folder):
            if argument in process.info["cmdline"]:
                return process
        time.sleep(0.02)
    raise AssertionError("none was started")


def processes_with(folder: Path) -> list[psutil.Process]:
    """All processes that were started with this folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in argument for argument in process.info["cmdline"] or ())
    ]
