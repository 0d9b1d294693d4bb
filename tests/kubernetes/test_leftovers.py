"""What a cluster leaves behind: nothing, also when the tool was killed or a pod is frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import worker
from tests.cluster.cgroups import Group
from tests.cluster.cluster import Cluster
from tests.kubernetes.workloads import create, pod

pytestmark = pytest.mark.timeout(300)

_KINDS = ("mnt", "net", "pid", "ipc", "uts", "cgroup")


@pytest.fixture
def another() -> Iterator[Cluster]:
    """One of the test's own, beside that of the session."""
    cluster = Cluster(f"leftovers-{os.getpid()}")
    yield cluster
    cluster.down()


def test_down_leaves_nothing_even_of_a_frozen_pod(another: Cluster) -> None:
    another.up()
    waits = {"image": worker.PAUSE_IMAGE, "command": ["/pause"]}
    create(another, "default", pod("frozen", container=waits))
    another.wait_for("pod/frozen")
    _freeze_pods(another)
    processes, namespaces = _processes(another), _namespaces(another)
    assert len(processes) > 10

    another.down()
    assert not _living(processes)
    assert not namespaces & _all_namespaces()
    assert not Group(another.name).exists()
    assert str(another.work) not in Path("/proc/self/mountinfo").read_text()
    assert not another.work.exists()


@pytest.mark.parametrize("seconds", [1.0, 4.0, 8.0])
def test_a_killed_tool_leaves_nothing_that_the_next_one_does_not_end(
    another: Cluster, seconds: float
) -> None:
    words = [sys.executable, "-m", "tests.cluster", "--name", another.name, "up"]
    tool = subprocess.Popen(words)
    time.sleep(seconds)
    tool.send_signal(signal.SIGKILL)
    tool.wait()
    processes = _processes(another)

    another.up()
    assert not _living(processes)
    another.wait_for("node/node1")


def _processes(cluster: Cluster) -> dict[int, str]:
    """With when each began, since numbers are given again."""
    return {pid: _began(pid) for pid in Group(cluster.name).processes()}


def _living(processes: dict[int, str]) -> set[int]:
    return {pid for pid, began in processes.items() if began and _began(pid) == began}


def _began(pid: int) -> str:
    """Nothing when it is dead, be it that its parent has not asked for it yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _namespaces(cluster: Cluster) -> set[str]:
    own = {os.readlink(f"/proc/self/ns/{kind}") for kind in _KINDS}
    return {each for pid in _processes(cluster) for each in _of(pid)} - own


def _all_namespaces() -> set[str]:
    return {each for pid in os.listdir("/proc") if pid.isdigit() for each in _of(int(pid))}


def _of(pid: int) -> set[str]:
    try:
        return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in _KINDS}
    except OSError:
        return set()


def _freeze_pods(cluster: Cluster) -> None:
    version_1 = "echo FROZEN > /sys/fs/cgroup/freezer/kubepods/freezer.state"
    version_2 = "echo 1 > /sys/fs/cgroup/kubepods/cgroup.freeze"
    cluster.node.enter(["sh", "-c", f"{version_1} || {version_2}"])
