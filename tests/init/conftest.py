"""mmsnap-init as it is built for the image, and ways to run it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.init.agent import Agent

_CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 30

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="session")
def init() -> Path:
    """The program; built when its source changed."""
    subprocess.run(["make", "init"], cwd=_CHECKOUT, check=True, capture_output=True)
    return _CHECKOUT / "build/init/init/mmsnap-init"


@pytest.fixture
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a program whose outputs are pipes, and an agent that lets it start."""
    agent = Agent(tmp_path_factory.mktemp("agent"))
    yield agent.environment
    agent.close()


@pytest.fixture
def start(init: Path) -> Iterator[Start]:
    """Starts a program under it, in a session of its own, as the runtime of containers does."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*words: str | Path, **options: object) -> subprocess.Popen[bytes]:
        settings: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "start_new_session": True,
        }
        process = subprocess.Popen([init, "--", *words], **(settings | options))  # type: ignore[call-overload]
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def run(init: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs a program under it to its end."""

    def finish(*words: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
        settings: dict[str, object] = {"capture_output": True, "timeout": LIMIT_SECONDS}
        if "stdin" not in options and "input" not in options:
            settings["stdin"] = subprocess.DEVNULL
        return subprocess.run([init, "--", *words], check=False, **(settings | options))  # type: ignore[call-overload]

    return finish


@pytest.fixture
def as_number_one(init: Path) -> list[str]:
    """What to put in front of a program, so that mmsnap-init is number 1 of a container."""
    if os.geteuid() != 0:
        pytest.skip("a process namespace needs root")
    unshare = shutil.which("unshare")
    assert unshare
    return [unshare, "--pid", "--mount-proc", "--fork", "--kill-child", "setsid", str(init), "--"]


def wait_for_line(process: subprocess.Popen[bytes]) -> str:
    """The next line that a program prints: it is up."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Sends a signal to mmsnap-init; its exit code."""
    process.send_signal(number)
    return process.wait(LIMIT_SECONDS)
