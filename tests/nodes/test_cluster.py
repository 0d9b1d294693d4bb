"""One cut over many nodes: all or none, whoever is asked, whoever dies."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.nodes.site import Cluster, Node, await_true, bank, cluster


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


def create(node: Node, name: str) -> int:
    told = node.mmsnap("checkpoint", "create", "bank", "--name", name)
    assert told.returncode == 0, told.stderr
    shown = node.mmsnap("checkpoint", "show", "bank", name, "-o", "json")
    epoch: int = json.loads(shown.stdout)["epoch"]
    return epoch


def test_any_node_cuts_all_members_at_one_instant(nodes: Cluster) -> None:
    with bank(nodes.nodes, 6) as members:
        under_way = [members.check(create(nodes.nodes[n % 3], f"c{n}")) for n in range(9)]
        assert members.all_run()
        assert any(under_way), "there was something on the way, or this shows nothing"
        told = nodes.nodes[1].mmsnap("restore", "bank", "c2")
        assert told.returncode == 0, told.stderr
        assert members.all_run()
        members.check(create(nodes.nodes[2], "after"))


@pytest.mark.timeout(400)
def test_whoever_dies_in_the_cut_loses_nothing_and_stops_nobody(nodes: Cluster) -> None:
    chance = random.Random(5)
    returned: dict[str, int] = {}
    with bank(nodes.nodes, 6) as members:
        for number in range(12):
            asked, other = chance.sample(nodes.nodes, 2)
            kind = ("coordinator", "participant", "etcd")[number % 3]
            name = f"hunt-{number}"
            told: list[subprocess.CompletedProcess[str]] = []
            asking = threading.Thread(
                target=lambda a=asked, n=name, t=told: t.append(
                    a.mmsnap("checkpoint", "create", "bank", "--name", n)
                )
            )
            asking.start()
            time.sleep(chance.uniform(0.2, 0.8))
            if kind == "etcd":
                victim = chance.randrange(3)
                nodes.etcd.kill(victim)
                asking.join()
                nodes.etcd.start(victim)
                nodes.etcd.await_health(victim)
            else:
                dead = asked if kind == "coordinator" else other
                dead.kill()
                asking.join()
                dead.start()
            if told[0].returncode == 0:
                returned[name] = number
            assert members.all_run(), f"{kind} killed in {name}"
            await_true(
                lambda a=asked: a.mmsnap("checkpoint", "create", "bank").returncode == 0,
                f"a checkpoint again, after {kind} was killed in {name}",
            )
        told_list = nodes.nodes[0].mmsnap("checkpoint", "list", "bank", "-o", "json")
        listed = json.loads(told_list.stdout)
        assert set(returned) <= {row["name"] for row in listed}
        for row in listed:
            members.check(row["epoch"])
