"""Whose a process id is, in a namespace that counts for itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mmsnap.process.numbers import number_inside, numbers_in_use

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
