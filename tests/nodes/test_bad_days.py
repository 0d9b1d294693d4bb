"""The fear: what goes wrong on one node, or twice at once, spoils what all the others have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.nodes.site import MMSNAP, Cluster, Node, await_true, cluster

MEMBER = """
import time, mmsnap
with mmsnap.attach(size="16MiB") as app:
    count = app.array("count", 1_000_000, "i8")
    while True:
        with app.update():
            count[int(count[0]) % count.size] += 1
            count[0] += 1
        time.sleep(0.001)
"""


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@contextmanager
def running(node: Node, group: str, member: str) -> Iterator[subprocess.Popen[bytes]]:
    words = ["run", "--group", group, "--member", member, "--", sys.executable, "-c", MEMBER]
    process = subprocess.Popen([MMSNAP, *words], env=node.environment)
    try:
        await_true(lambda: member in attached(node, group), "it is attached")
        yield process
    finally:
        process.terminate()
        process.wait(20)


def attached(node: Node, group: str) -> set[str]:
    told = node.mmsnap("ps", group, "-o", "json")
    rows = json.loads(told.stdout) if told.returncode == 0 else []
    return {row["member"] for row in rows if row["state"] == "attached"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small pool")
def test_a_replica_with_a_full_disk_is_told_and_harms_nobody(nodes: Cluster) -> None:
    first, _, third = nodes.nodes
    third.kill()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", third.pool], check=True)
    try:
        third.start()
        with running(first, "g", "a") as member:
            words = ["checkpoint", "create", "g", "--name", "c", "--replicas", "2"]
            assert first.mmsnap(*words).returncode == 0
            words = ["checkpoint", "wait", "g", "c", "--durability", "replicated"]
            told = first.mmsnap(*words, "--timeout", "5s")
            assert told.returncode == 1, "two copies were promised, and one is there"
            assert "No space left" in first.log
            assert first.mmsnap("checkpoint", "create", "g", "--replicas", "1").returncode == 0
            assert member.poll() is None
            subprocess.run(["mount", "-o", "remount,size=64m", third.pool], check=True)
            told = first.mmsnap(*words, "--timeout", "30s")
            assert told.returncode == 0, "there is room now"
            assert first.mmsnap("checkpoint", "verify", "g", "c").returncode == 0
    finally:
        third.kill()
        subprocess.run(["umount", third.pool], check=True)


def test_two_groups_with_one_name_are_one_or_refused(nodes: Cluster) -> None:
    first, second, third = nodes.nodes
    with running(first, "g", "a"):
        assert first.mmsnap("checkpoint", "create", "g", "--name", "c").returncode == 0
        told = second.mmsnap(
            "run", "--group", "g", "--member", "a", "--", sys.executable, "-c", MEMBER
        )
        assert told.returncode != 0
        assert "of node n1" in told.stderr
        results: list[int] = []
        cloning = [
            threading.Thread(
                target=lambda n=node: results.append(n.mmsnap("clone", "g", "c", "h").returncode)
            )
            for node in (second, third)
        ]
        for each in cloning:
            each.start()
        for each in cloning:
            each.join()
        assert sorted(results) == [0, 1], "one of them has the name"
        left = [node for node in nodes.nodes if (node.pool / "regions" / "h.a").exists()]
        assert len(left) == 1, "the other left nothing"


def test_without_a_majority_of_etcd_members_run_on_and_the_reason_is_told(nodes: Cluster) -> None:
    first = nodes.nodes[0]
    with running(first, "g", "a") as member:
        assert first.mmsnap("checkpoint", "create", "g").returncode == 0
        for number in (0, 1):
            nodes.etcd.kill(number)
        told = first.mmsnap("checkpoint", "create", "g")
        assert told.returncode == 4
        assert "a majority of its members" in told.stderr
        time.sleep(1)
        assert member.poll() is None
        for number in (0, 1):
            nodes.etcd.start(number)
        await_true(lambda: first.mmsnap("checkpoint", "create", "g").returncode == 0, "it works")
        assert member.poll() is None
