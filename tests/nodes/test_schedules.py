"""The fear: a schedule is run by two nodes, or by none when the one that ran it is gone."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.nodes.site import Bank, Cluster, Node, await_true, bank, cluster


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def members(nodes: Cluster) -> Iterator[Bank]:
    """On n2 and n3."""
    with bank(nodes.nodes[1:], 4) as made:
        told = nodes.nodes[0].mmsnap("schedule", "set", "bank", "--every", "500ms")
        assert told.returncode == 0, told.stderr
        yield made
        assert nodes.nodes[0].mmsnap("schedule", "off", "bank").returncode == 0


def shown(node: Node) -> dict[str, Any]:
    told = node.mmsnap("schedule", "show", "bank", "-o", "json")
    assert told.returncode == 0, told.stderr
    (found,) = json.loads(told.stdout)
    return dict(found)


def runs(node: Node) -> dict[str, float]:
    """Runs that a node made, by how they ended."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{node.metrics_port}/metrics", timeout=10
    ) as told:
        families = text_string_to_metric_families(told.read().decode())
    return {
        sample.labels["result"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "mmsnap_schedule_runs_total"
    }


def await_owner(node: Node, not_this: str = "") -> str:
    await_true(lambda: shown(node)["node"] not in ("", not_this), "somebody runs it", 20)
    return str(shown(node)["node"])


def await_more(node: Node) -> None:
    last = shown(node)["last_checkpoint"]
    await_true(lambda: shown(node)["last_checkpoint"] != last, "it goes on")


def test_one_node_with_members_runs_it_and_the_others_do_not(nodes: Cluster, members: Bank) -> None:
    asked = nodes.nodes[0]
    owner = await_owner(asked)
    assert owner in ("n2", "n3"), "who has no members leaves it to those who have"
    await_more(asked)
    before = {node.name: sum(runs(node).values()) for node in nodes.nodes}
    time.sleep(4)
    ran = {node.name: sum(runs(node).values()) - before[node.name] for node in nodes.nodes}
    assert 2 <= ran.pop(owner) <= 9, "what a busy machine misses is not made up for"
    assert set(ran.values()) == {0}
    assert shown(asked)["consecutive_failures"] == 0


def test_who_dies_has_it_taken_over_and_does_not_get_it_back(nodes: Cluster, members: Bank) -> None:
    asked = nodes.nodes[0]
    name = await_owner(asked)
    await_more(asked)
    owner = next(node for node in nodes.nodes if node.name == name)
    owner.kill()
    successor = await_owner(asked, name)
    # Its members ran on, but nobody can tell them to stand still.
    await_true(lambda: shown(asked)["consecutive_failures"] > 0, "that is told")
    assert name in shown(asked)["last_error"]
    owner.start()
    await_true(lambda: shown(asked)["consecutive_failures"] == 0, "all are there again")
    await_more(asked)
    assert shown(asked)["node"] == successor
    assert runs(owner)["committed"] == 0
    assert members.all_run()


def test_who_stands_still_for_long_runs_it_no_more_when_it_goes_on(
    nodes: Cluster, members: Bank
) -> None:
    asked = nodes.nodes[0]
    name = await_owner(asked)
    owner = next(node for node in nodes.nodes if node.name == name)
    assert asked.mmsnap("schedule", "set", "bank", "--every", "8s").returncode == 0
    await_more(asked)
    before = runs(owner)["committed"]
    owner.stop()
    stopped = time.monotonic()
    try:
        await_owner(asked, name)
        time.sleep(max(stopped + 9 - time.monotonic(), 0))  # it has one to run when it goes on
    finally:
        owner.go_on()
    await_true(lambda: shown(asked)["consecutive_failures"] == 0, "all are there again")
    await_more(asked)
    await_more(asked)
    assert shown(asked)["node"] != name
    assert runs(owner)["committed"] == before


def test_who_is_stopped_hands_it_over_at_once(nodes: Cluster, members: Bank) -> None:
    asked = nodes.nodes[0]
    name = await_owner(asked)
    owner = next(node for node in nodes.nodes if node.name == name)
    owner.process.send_signal(signal.SIGTERM)
    assert owner.process.wait(30) == 0, owner.log[-2000:]
    began = time.monotonic()
    await_owner(asked, name)
    assert time.monotonic() - began < 4
    owner.start()
    await_true(lambda: shown(asked)["consecutive_failures"] == 0, "all are there again")


def test_a_run_that_waits_for_copies_has_them_when_it_is_told(
    nodes: Cluster, members: Bank
) -> None:
    asked = nodes.nodes[0]
    words = ("schedule", "set", "bank", "--every", "1s", "--wait", "replicated")
    assert asked.mmsnap(*words, "--keep-last", "3").returncode == 0
    await_more(asked)
    for _ in range(3):
        await_more(asked)
        name = shown(asked)["last_checkpoint"]
        told = asked.mmsnap("checkpoint", "show", "bank", name, "-o", "json")
        if told.returncode == 0:  # it may have been let go meanwhile
            assert json.loads(told.stdout)["durability"] == "replicated"
    assert shown(asked)["consecutive_failures"] == 0


def test_without_a_majority_of_etcd_nothing_is_run_and_then_it_goes_on(
    nodes: Cluster, members: Bank
) -> None:
    asked = nodes.nodes[0]
    owner = await_owner(asked)
    await_more(asked)
    for number in (1, 2):
        nodes.etcd.kill(number)
    time.sleep(8)
    for number in (1, 2):
        nodes.etcd.start(number)
    await_true(lambda: asked.mmsnap("schedule", "show", "bank").returncode == 0, "etcd is back")
    await_true(lambda: shown(asked)["consecutive_failures"] == 0, "it goes on")
    await_more(asked)
    assert shown(asked)["node"] == owner, "who could not be heard was not silent"
    assert members.all_run()
