"""An agent that goes at any moment must neither hold the program for ever nor start it twice."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.init.conftest import LIMIT_SECONDS, Start, wait_for_line
from tests.init.test_signals import children


@pytest.fixture
def door(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(tmp_path / "init.sock"))
        door.listen(4)
        door.settimeout(LIMIT_SECONDS)
        yield door


@pytest.fixture
def called(door: socket.socket, tmp_path: Path) -> dict[str, str]:
    """The environment of a program whose mmsnap-init calls at the door."""
    return os.environ | {
        "MMSNAP_ENGINE": "process",
        "MMSNAP_ADDRESS": f"unix://{tmp_path / 'agent.sock'}",
    }


def next_call(door: socket.socket) -> tuple[socket.socket, int]:
    """A line of mmsnap-init, and the program that it says it has."""
    line, _ = door.accept()
    line.settimeout(LIMIT_SECONDS)
    words, ends, _, _ = socket.recv_fds(line, 256, 2)
    for end in ends:
        os.close(end)
    return line, int(words.split()[2])


def started(line: socket.socket) -> int:
    line.send(b"start")
    word, pid = line.recv(256).split()
    assert word == b"started"
    return int(pid)


def test_before_it_let_the_program_through(
    start: Start, door: socket.socket, called: dict[str, str], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    process = start("sh", "-c", f"echo ran >> {trace}; echo up; exec sleep 60", env=called)
    first, program = next_call(door)
    assert program == 0
    held = started(first)
    first.close()
    second, program = next_call(door)
    assert program == 0, "what was held is not a program to adopt"
    assert not Path(f"/proc/{held}").exists()
    again = started(second)
    second.send(b"go")
    assert wait_for_line(process) == "up"
    assert children(process.pid) == [again]
    assert trace.read_text() == "ran\n"


def test_after_it_let_the_program_through(
    start: Start, door: socket.socket, called: dict[str, str]
) -> None:
    process = start("sh", "-c", "echo up; exec sleep 60", env=called)
    first, _ = next_call(door)
    running = started(first)
    first.send(b"go")
    first.close()
    _, program = next_call(door)
    assert program == running
    assert wait_for_line(process) == "up"


def test_a_restore_that_comes_before_the_program_was_let_through(
    start: Start, door: socket.socket, called: dict[str, str]
) -> None:
    process = start("sh", "-c", "echo up; exec sleep 60", env=called)
    line, _ = next_call(door)
    held = started(line)
    line.send(b"hold")
    line.send(b"go")
    line.send(b"start")
    word, pid = line.recv(256).split()
    assert (word, int(pid) != held) == (b"started", True)
    line.send(b"go")
    assert wait_for_line(process) == "up"
    assert children(process.pid) == [int(pid)]
