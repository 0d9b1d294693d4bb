"""With a terminal: its keys, its size and its jobs must go to the program, once."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_SECONDS = 15


class Terminal:
    """What a person at the other end sees and types."""

    def __init__(self, fd: int, process: int) -> None:
        self.fd, self.process, self._seen = fd, process, ""

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read_until(self, pattern: str) -> str:
        """What comes up to and with the pattern."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not (found := re.search(pattern, self._seen)):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come, but {self._seen!r}"
            try:
                self._seen += os.read(self.fd, 4096).decode()
            except OSError as error:  # nobody holds the other end any more
                raise AssertionError(f"{pattern!r} did not come, but {self._seen!r}") from error
        told, self._seen = self._seen[: found.end()], self._seen[found.end() :]
        return told

    def end(self) -> int:
        """The exit code."""
        _, status = os.waitpid(self.process, 0)
        self.process = 0
        return os.waitstatus_to_exitcode(status)


@contextmanager
def terminal(*words: str | Path) -> Iterator[Terminal]:
    """A program as the leader of a session with a terminal, as the runtime of containers does."""
    process, fd = pty.fork()
    if process == 0:
        os.execvp(words[0], words)
    made = Terminal(fd, process)
    try:
        yield made
    finally:
        os.close(fd)
        if made.process:
            os.kill(made.process, signal.SIGKILL)
            os.waitpid(made.process, 0)


_COUNTER = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH, signal.SIGHUP, signal.SIGCONT):
    signal.signal(number, lambda number, frame: print(signal.Signals(number).name, flush=True))
print("leads", os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpid(), flush=True)
end = time.monotonic() + 0.7
while time.monotonic() < end:
    time.sleep(0.1)
print("end", flush=True)
"""


@pytest.fixture(params=["ordinary", "number one"])
def first(request: pytest.FixtureRequest, init: Path) -> list[str]:
    """mmsnap-init as the leader of a session, and as number 1 too."""
    if request.param == "ordinary":
        return [str(init), "--"]
    if os.geteuid() != 0:
        pytest.skip("a process namespace needs root")
    unshare = shutil.which("unshare")
    assert unshare
    return [unshare, "--pid", "--mount-proc", "--fork", "setsid", "--ctty", str(init), "--"]


def test_the_program_has_the_terminal_and_nobody_told_it_that_it_was_handed_over(
    first: list[str],
) -> None:
    with terminal(*first, "python3", "-c", _COUNTER) as person:
        told = person.read_until("end")
        assert "leads True True" in told
        assert "SIG" not in told


def test_ctrl_c_reaches_the_program_once(first: list[str]) -> None:
    with terminal(*first, "python3", "-c", _COUNTER) as person:
        person.read_until("leads")
        person.type("\x03")
        assert person.read_until("end").count("SIGINT") == 1


def test_a_window_that_changes_its_size_is_noticed_once(first: list[str]) -> None:
    with terminal(*first, "python3", "-c", _COUNTER) as person:
        person.read_until("leads")
        fcntl.ioctl(person.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        assert person.read_until("end").count("SIGWINCH") == 1


def test_a_terminal_stays_a_terminal_where_outputs_are_pipes_otherwise(
    init: Path, owned: dict[str, str]
) -> None:
    asked = ["env", *(f"{name}={owned[name]}" for name in ("MMSNAP_ENGINE", "MMSNAP_ADDRESS"))]
    with terminal(*asked, init, "--", "sh", "-c", "[ -t 1 ] && [ -t 2 ] && echo both") as person:
        person.read_until("both")


def test_a_shell_has_its_jobs(first: list[str]) -> None:
    with terminal(*first, "bash", "--norc", "-i") as person:
        person.type("echo size=$(stty size) no$(:)ise; sleep 50\n")
        told = person.read_until("noise\r\n")
        assert "no job control" not in told
        time.sleep(0.3)
        person.type("\x1a")
        person.read_until("Stopped")
        person.type("fg\n")
        person.read_until("sleep 50\r\n")
        time.sleep(0.3)
        person.type("\x03")
        person.type("exit 17\n")
        if "unshare" not in first[0]:
            assert person.end() == 17


def test_ctrl_c_in_a_users_shell_reaches_the_program_once(init: Path) -> None:
    with terminal("bash", "--norc", "-i") as person:
        person.type(f"{init} -- python3 -c '{_COUNTER}'; echo code=$?\n")
        person.read_until("leads (True|False) (True|False)\r\n")
        person.type("\x03")
        assert person.read_until(r"code=\d").count("SIGINT") == 1


def test_ctrl_z_in_a_users_shell_stops_both_and_fg_lets_both_go_on(init: Path) -> None:
    with terminal("bash", "--norc", "-i") as person:
        person.type(
            f"{init} -- sh -c 'echo r''eady; sleep 0.6; echo d''one; exit 9'; echo code=$?\n"
        )
        person.read_until("ready")
        time.sleep(0.2)  # (A shell that is just starting a child can not be stopped.)
        person.type("\x1a")
        person.read_until(r"Stopped[^\0]*code=148")
        time.sleep(1)
        person.type("fg; echo later=$?\n")
        person.read_until("done")
        person.read_until("later=9")


def test_a_pipeline_in_a_users_shell_is_one_job(init: Path) -> None:
    with terminal("bash", "--norc", "-i") as person:
        person.type(f"{init} -- sleep 60 | sleep 60\n")
        time.sleep(0.5)
        person.type("\x03")
        person.type("echo codes=${PIPESTATUS[*]}\n")
        person.read_until("codes=130 130")


def test_a_terminal_that_hangs_up_ends_the_program(init: Path, tmp_path: Path) -> None:
    script = (
        f"trap 'echo heard > {tmp_path}/heard; exit' HUP; echo up; while :; do sleep 0.05; done"
    )
    with terminal(init, "--", "sh", "-c", script) as person:
        person.read_until("up")
        process = person.process
        person.process = 0
    os.waitpid(process, 0)
    assert (tmp_path / "heard").read_text() == "heard\n"
