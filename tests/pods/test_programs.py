"""Programs that know nothing, in pods: held, dumped and restored from outside of containers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmsnap.errors import MmsnapError
from mmsnap.pods.shims import is_shim_of
from tests.pods.kubelet import Kubelet, PodOfKubelet

_COUNT = "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.01; done"
_ATTACH = """
import mmsnap, numpy, time
app = mmsnap.attach(size="8MiB")
with app.update():
    cells = app.array("cells", (1024,), numpy.int64)
while True:
    with app.update():
        cells += 1
    print(int(cells[0]), flush=True)
    time.sleep(0.01)
"""
_GROUP = "demo--hz"
RESERVED = 300  # what a kernel does not give out again when its numbers begin anew


def counter(node: Kubelet, pod: PodOfKubelet) -> subprocess.Popen[str]:
    return node.run_program(pod, "sh", "-c", _COUNT)


def next_count(program: subprocess.Popen[str]) -> int:
    assert program.stdout is not None
    line = program.stdout.readline()
    assert line, f"the container ended: {program.wait()}"
    return int(line.split()[0])


def await_member(node: Kubelet, name: str = "hz-0") -> None:
    def attached() -> bool:
        members = node.client.members(_GROUP) if node.client.members() else []
        return any(m.member == name and m.state == "attached" for m in members)

    node.until(attached, f"{name} is a member")


def count_after_restore(program: subprocess.Popen[str], below: int) -> int:
    """The first count that is smaller than what was before."""
    deadline = time.monotonic() + 20
    while (count := next_count(program)) >= below:
        below = max(below, count)
        assert time.monotonic() < deadline, "it never went back"
    return count


def shims(uid: str) -> list[int]:
    """Without their watchdogs, which are children of theirs."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    found = {pid: parent_of(pid) for pid in pids if is_shim_of(pid, uid)}
    return [pid for pid, parent in found.items() if parent not in found]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_program_goes_back_and_its_container_ends(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = counter(node, pod)
    await_member(node)
    seen = next_count(program)
    node.client.checkpoint(_GROUP, "one")
    while next_count(program) < seen + 300:
        pass
    node.client.restore(_GROUP, "one")
    back = count_after_restore(program, seen + 300)
    assert seen <= back < seen + 300
    assert program.poll() is None
    node.client.checkpoint(_GROUP, "two")


def test_a_new_pod_begins_where_its_predecessor_began(node: Kubelet) -> None:
    first = PodOfKubelet("hz-0")
    node.publish(first)
    program = counter(node, first)
    await_member(node)
    while next_count(program) < 200:
        pass
    node.client.checkpoint(_GROUP, "one")
    node.end(program)
    node.unpublish(first)
    restored = node.client.restore(_GROUP, "one")
    assert restored.awaited == ("hz-0",)
    second = PodOfKubelet("hz-0")
    node.publish(second)
    assert next_count(counter(node, second)) >= 200


def test_what_begins_before_a_program_takes_its_number_in_the_next_container(
    node: Kubelet,
) -> None:
    """Threads of runtimes and of mmsnap-init get the lowest numbers, now more and now fewer."""
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = node.run_program(pod, "sh", "-c", "echo $$; while :; do sleep 1; done")
    assert next_count(program) == RESERVED


def test_a_killed_shim_leaves_its_program_standing(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = counter(node, pod)
    await_member(node)
    (shim,) = shims(pod.uid)
    os.kill(shim, signal.SIGKILL)
    seen = next_count(program)
    while next_count(program) < seen + 100:
        pass
    node.until(lambda: shims(pod.uid) not in ([], [shim]), "another shim comes")
    node.until(lambda: took(node, "later"), "it is a member again")
    node.client.restore(_GROUP, "later")
    assert next_count(program) > seen


@pytest.mark.parametrize("delay_seconds", [0, 0.5, 0.7, 0.9])
def test_a_shim_killed_as_it_begins_holds_nobody_up(node: Kubelet, delay_seconds: float) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = counter(node, pod)
    node.until(lambda: shims(pod.uid), "a shim begins")
    time.sleep(delay_seconds)
    (shim,) = shims(pod.uid)
    os.kill(shim, signal.SIGKILL)
    assert next_count(program) == 1
    node.until(lambda: took(node, "later"), "it is a member")


@pytest.mark.parametrize("delay_seconds", [0.05, 0.15, 0.25, 0.4])
def test_a_shim_killed_in_a_cut_leaves_its_program_frozen(
    node: Kubelet, delay_seconds: float
) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = counter(node, pod)
    await_member(node)
    (shim,) = shims(pod.uid)
    with ThreadPoolExecutor(1) as asked:
        cut = asked.submit(took, node, "torn")
        time.sleep(delay_seconds)
        os.kill(shim, signal.SIGKILL)
        seen = next_count(program)
        while next_count(program) < seen + 100:
            pass
        cut.result()
    node.until(lambda: took(node, "later"), "it is a member again")


def test_the_service_is_killed_and_its_shims_with_it(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = counter(node, pod)
    await_member(node)
    before = shims(pod.uid)
    seen = next_count(program)
    node.kill_service()
    while next_count(program) < seen + 50:
        pass
    node.start()
    node.until(lambda: took(node, "later"), "it is a member again")
    assert shims(pod.uid) == before


def test_a_process_of_another_pod_calls_for_a_shim(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(str(node.pool / "pods" / pod.uid / "init.sock"))
        stranger.settimeout(10)
        assert stranger.recv(1) == b""
    assert "is no container of pod" in node.said()


def test_a_program_that_attaches_by_itself_finds_its_place_taken(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = node.run_program(pod, sys.executable, "-c", _ATTACH, with_python=True)
    seen = next_count(program)
    (member,) = node.client.members(_GROUP)
    assert member.engine == "memory"
    taken = node.client.checkpoint(_GROUP, "one")
    assert taken.consistency == "application"
    while next_count(program) < seen + 100:
        pass
    node.client.restore(_GROUP, "one")
    assert count_after_restore(program, seen + 100) >= seen
    node.kill_service()
    node.start()
    node.until(lambda: took(node, "later"), "it is a member again")


def test_the_exit_code_of_a_program_gets_lost(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    program = node.run_program(pod, "sh", "-c", "echo out; exit 7")
    assert program.communicate(timeout=20)[0] == "out\n"
    assert program.returncode == 7
    node.until(lambda: shims(pod.uid) == [], "its shim ends")


def test_a_container_that_starts_beside_a_dead_service_runs_unprotected(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    node.kill_service()
    program = counter(node, pod)
    time.sleep(1)
    node.start()
    await_member(node)
    assert next_count(program) == 1


def took(node: Kubelet, name: str) -> bool:
    try:
        node.client.checkpoint(_GROUP, name)
    except MmsnapError:
        return False
    return True
