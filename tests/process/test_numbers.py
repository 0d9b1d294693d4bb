"""Whose a process id is, in a namespace that counts for itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmsnap.errors import MmsnapError
from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process.numbers import await_free, number_inside, numbers_in_use
from mmsnap.process.restoring import numbers_of

# Number 1 of a namespace. Its first child is dead and not buried, the second leads a session in
# which the third lives on without it.
_NAMESPACE = """
import os, time
def child(what):
    pid = os.fork()
    if pid == 0:
        what()
        os._exit(0)
    return pid
dead = child(lambda: None)
def lead():
    os.setsid()
    child(lambda: time.sleep(60))
leader = child(lead)
os.waitpid(leader, 0)
os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
print(dead, leader, flush=True)
time.sleep(60)
"""


@pytest.fixture
def namespace() -> Iterator[tuple[int, int, int]]:
    """Number 1 as it is called here, the dead child and the leader as they are called there."""
    if os.geteuid() != 0:
        pytest.skip("namespaces are root's to make")
    words = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", _NAMESPACE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        dead, leader = map(int, process.stdout.readline().split())
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        with open(children) as told:
            first = int(told.read())
        assert number_inside(first) == 1
        yield first, dead, leader
        process.kill()


def test_the_dead_and_the_sessions_of_the_dead_count_for_nobody(
    namespace: tuple[int, int, int],
) -> None:
    first, dead, leader = namespace
    taken = numbers_in_use(first)
    assert f"process {first} " in taken[1]
    assert {1, dead, leader} <= taken.keys()
    assert len(taken) == len({1, dead, leader, "the one that lives on"})


def test_who_stays_where_a_program_is_to_come_back_is_named(
    namespace: tuple[int, int, int],
) -> None:
    first, _, leader = namespace
    begun = time.monotonic()
    with pytest.raises(MmsnapError, match=f"process id {leader} is in use by process ") as told:
        await_free({leader}, first)
    assert time.monotonic() - begun > 1, "who goes is given time"
    assert "end it" in told.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")
def test_who_is_going_is_waited_for() -> None:
    script = "sleep 1 & echo $!; wait; sleep 60"
    words = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        going = int(process.stdout.readline())
        first = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        assert going in numbers_in_use(first)
        await_free({going}, first)
        assert going not in numbers_in_use(first)
        process.kill()


def test_leaders_that_had_ended_are_made_anew_and_need_their_numbers() -> None:
    tasks = [
        pb.TaskEntry(pid=300, parent_pid=0, process_group=7, session=5, threads=[300, 301]),
        pb.TaskEntry(pid=310, parent_pid=300, process_group=309, session=308, threads=[310]),
        pb.TaskEntry(pid=320, parent_pid=300, process_group=7, session=5, threads=[320]),
    ]
    assert numbers_of(tasks) == {300, 301, 308, 309, 310, 320}
    tasks[0].session = tasks[0].process_group = 300  # it leads its own
    assert {5, 7, 300} <= numbers_of(tasks)
