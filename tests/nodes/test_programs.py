"""The fear: unmodified programs on several nodes are cut at two instants, or do not find each other
when they come back, because each knows only what its own pool has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmsnap.process.installation import install
from tests.nodes.hosts import Host, hosts
from tests.nodes.site import MMSNAP, Node, cluster
from tests.process.network import network
from tests.process.programs import FLOOD
from tests.process.site import Shim, await_true, cgroup_of
from tests.process.test_networks import await_flow

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")

_GROUP = "pair"
_LISTENER = "10.0.0.1"  # the address of the first host
_PAUSE_SECONDS = "0.002"
_COUNTER = """
import time, mmsnap
with mmsnap.attach(on_loss="wait") as app:
    cells = app.array("n", (1,), "i8")
    while True:
        with app.update(): cells[0] += 1
        print(int(cells[0]), flush=True)
        time.sleep(0.02)
"""


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    install()
    with hosts(3) as made, cluster(3, made) as serving:
        yield serving.nodes


@pytest.fixture
def far_apart() -> Iterator[list[Node]]:
    """Nodes between which something is always on the way."""
    install()
    addresses = (_LISTENER, "10.0.0.2", "10.0.0.3")
    with network(*addresses, delay_seconds=0.003) as namespaces:
        made = [Host(*where) for where in zip(addresses, namespaces, strict=True)]
        with cluster(3, made) as serving:
            yield serving.nodes


class Programs:
    """Programs on hosts, each under the service of its node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Shim] = []

    def start(self, node: Node, member: str, *command: str, memory: bool = False) -> Shim:
        """Starts one, and waits until it is a member."""
        number = len(self._all)
        out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
        words = [*node.host.inside, MMSNAP, "run", "--group", _GROUP, "--member", member]
        words += [] if memory else ["--engine", "process"]
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*words, "--", *command],
                env=node.environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        shim = Shim(
            process, out, err, cgroup_of(node.environment["MMSNAP_ADDRESS"], _GROUP, member)
        )
        self._all.append(shim)
        await_true(
            lambda: process.poll() is not None or _is_attached(node, member),
            f"{member} is attached: {shim.words}",
        )
        return shim

    def talk(self, first: Node, second: Node) -> list[Shim]:
        """Two that send each other numbers without end, and check what they get."""
        words = (sys.executable, "-c", FLOOD)
        ends = [
            self.start(first, "listen", *words, "listen", _LISTENER, _PAUSE_SECONDS),
            self.start(second, "connect", *words, "connect", _LISTENER, _PAUSE_SECONDS),
        ]
        await_flow(ends)
        return ends

    def end(self) -> None:
        for shim in self._all:
            if shim.process.poll() is None:
                shim.process.send_signal(signal.SIGTERM)
        for shim in self._all:
            try:
                shim.process.wait(10)
            except subprocess.TimeoutExpired:
                shim.process.kill()
                shim.process.wait(10)


@contextmanager
def programs(folder: Path) -> Iterator[Programs]:
    made = Programs(folder)
    try:
        yield made
    finally:
        made.end()


def _is_attached(node: Node, member: str) -> bool:
    told = node.mmsnap("ps", _GROUP, "-o", "json")
    rows = json.loads(told.stdout) if told.returncode == 0 else []
    return any(row["member"] == member and row["state"] == "attached" for row in rows)


def _do(node: Node, *words: str) -> None:
    told = node.mmsnap(*words)
    assert told.returncode == 0, told.stderr + node.log[-3000:]


def test_a_connection_between_hosts_survives_cuts_and_restores(
    far_apart: list[Node], tmp_path: Path
) -> None:
    first, second, third = far_apart
    with programs(tmp_path) as running:
        ends = running.talk(first, second)
        memory = running.start(third, "memory", sys.executable, "-c", _COUNTER, memory=True)
        for number, node in enumerate(far_apart):
            _do(node, "checkpoint", "create", _GROUP, "--name", f"c{number}")
            await_flow(ends)
        kept = int(memory.lines[-1])
        await_true(lambda: int(memory.lines[-1]) > kept + 50, "the memory is far ahead")
        _do(third, "restore", _GROUP, "c2")
        await_true(lambda: int(memory.lines[-1]) < kept + 50, "the memory is back")
        await_flow(ends)
        _do(first, "restore", _GROUP, "c0", "--check")
        for end in ends:
            end.kill_program()
        _do(second, "restore", _GROUP, "c1")
        ends = [running.start(first, "listen", "false"), running.start(second, "connect", "false")]
        await_flow(ends)
        assert "reset" not in ends[0].words + ends[1].words
        assert memory.process.poll() is None


def test_a_program_of_a_lost_node_goes_on_elsewhere_with_its_connection(
    nodes: list[Node], tmp_path: Path
) -> None:
    first, second, third = nodes
    with programs(tmp_path) as running:
        ends = running.talk(first, second)
        _do(second, "checkpoint", "create", _GROUP, "--name", "c", "--wait", "replicated")
        await_flow(ends)
        second.host.cut_off()
        second.kill()
        ends[1].kill_program()
        _do(first, "node", "down", "n2", "--force", "--yes")
        assert ends[0].process.poll() is None
        _do(first, "restore", _GROUP, "c")
        ends[1] = running.start(third, "connect", "false")
        await_flow(ends)
        assert "reset" not in ends[0].words + ends[1].words
        _do(third, "checkpoint", "create", _GROUP, "--name", "after")
        await_flow(ends)
        _do(first, "restore", _GROUP, "after")
        await_flow(ends)
        assert [end.process.poll() for end in ends] == [None, None]
