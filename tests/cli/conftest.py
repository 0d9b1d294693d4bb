"""The real `mmsnap`, run as a user types it, and what its tests share."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import mmsnap as library

MMSNAP = Path(sys.executable).with_name("mmsnap")
START_SECONDS = 20.0

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
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


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A fresh folder on a memory file system, where pools of medium dram can be."""
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-cli-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def pool() -> Iterator[Path]:
    """A pool with a region, `counter`, of three checkpoints: `one`, `two`, an automatic one."""
    with memory_folder() as pool:
        with library.open(pool, "counter", size="8MiB") as app:
            hits = app.array("hits", (1000,), np.int64)
            for step, name in enumerate(["one", "two", None], start=1):
                with app.update():
                    hits[:] = step
                app.checkpoint(name)
            app.close(checkpoint=False)
        yield pool


class Service:
    """A running `mmsnap agent`."""

    def __init__(
        self, pool: Path, address: str, environment: dict[str, str], *options: str
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the service
        self._process = subprocess.Popen(
            [MMSNAP, "agent", "--pool", pool, "--address", address, *options],
            env=environment,
            stderr=self._log,
        )
        self.pid = self._process.pid
        wait_for(lambda: "serving" in self.log)

    @property
    def log(self) -> str:
        """What it has said so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it with a signal; returns its exit code."""
        self._process.send_signal(number)
        return self._process.wait(timeout=20)


@pytest.fixture(scope="class")
def agent(environment: dict[str, str]) -> Iterator[str]:
    """The address of a running service on a fresh pool."""
    with memory_folder() as folder:
        pool = folder / "pool"
        pool.mkdir()
        address = f"unix://{folder}/agent.sock"
        service = Service(pool, address, environment)
        yield address
        assert service.end() == 0, service.log
    assert "Traceback" not in service.log


def wait_for(true: Callable[[], bool]) -> None:
    """Returns when it is true; fails when that takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


class Terminal:
    """A program with a terminal of its own, on which a test types and reads."""

    def __init__(self, command: list[str | Path], environment: dict[str, str]) -> None:
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], [os.fspath(part) for part in command], environment)
        self.shown = ""

    def read_until(self, text: str) -> None:
        """Reads what the program shows, until it has shown `text`."""
        wait_for(lambda: text in self._read())

    def type(self, text: str) -> None:
        """Types, as at a keyboard: `\\x03` is Ctrl-C."""
        os.write(self._screen, text.encode())

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to `mmsnap` alone, not through the terminal."""
        os.kill(self.pid, number)

    def end(self) -> int:
        """Waits for the program's end; returns its exit code."""
        while self._read_some():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._screen)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> str:
        self._read_some()
        return self.shown

    def _read_some(self) -> bool:
        try:
            some = os.read(self._screen, 4096)
        except OSError:  # EIO: the program has ended
            return False
        self.shown += some.decode()
        return bool(some)


@pytest.fixture
def on_terminal(environment: dict[str, str]) -> Callable[..., Terminal]:
    """Starts `mmsnap` with arguments on a terminal."""

    def start(*arguments: str | Path) -> Terminal:
        return Terminal([MMSNAP, *arguments], environment)

    return start
