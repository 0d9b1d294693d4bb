"""The operator with three nodes: they trust each other, and a lost one stops nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.operator_site import FOLDER, MMSNAP, NAMESPACE, OperatorSite, manifest
from tests.kubernetes.requests_site import RequestsSite

pytestmark = pytest.mark.timeout(900)

_EMULATED = ("--pmem-emulation", "--mm-capacity", "1")


@pytest.fixture(scope="module")
def three(three_nodes: Cluster) -> Iterator[OperatorSite]:
    """The operator, and three nodes that are ready for an agent."""
    site = OperatorSite(three_nodes)
    site.install()
    for node in three_nodes.nodes:
        node.enter([str(MMSNAP), "node", "prepare", *_EMULATED])
    site.label()
    yield site
    site.delete()
    site.label(off=True)
    for node in three_nodes.nodes:
        node.enter([str(MMSNAP), "node", "prepare", "--undo", "--yes"])
    site.uninstall()


def test_nodes_trust_each_other_and_share_a_catalog(three: OperatorSite) -> None:
    wanted = manifest(etcdConfig={"replicas": 3}, mvcontainerConfig={"SnapshotReplicas": 2})
    with three.machine(wanted):
        three.await_condition("Ready", "True", seconds=300)
        assert three.condition("ReplicasPossible")["status"] == "True"
        assert (three.status()["nodesReady"], three.status()["nodesWanted"]) == (3, 3)
        words = ("exec", "-n", NAMESPACE, "ds/memory-machine", "-c", "agent", "--", "mmsnap")
        told = three.cluster.kubectl(*words, "usage")
        assert "unreachable" not in told
        for name in ("node1", "node2", "node3"):
            assert name in told


def test_node_that_loses_its_label_loses_its_agent_and_a_new_one_gets_one(
    three: OperatorSite,
) -> None:
    with three.machine(manifest()):
        three.await_condition("AgentsReady", "True", "Ready", seconds=240)
        three.cluster.kubectl("label", "node", "node3", "storage-")
        eventually(lambda: three.status().get("nodesReady") == 2, "two agents", 90)
        three.cluster.kubectl("label", "node", "node3", "storage=pmem")
        eventually(lambda: three.status().get("nodesReady") == 3, "three agents", 180)
        three.cluster.kubectl("label", "node", "node3", "storage-")
        eventually(lambda: three.status().get("nodesReady") == 2, "two agents", 90)
    left = three.cluster.nodes[2].enter(["ls", "/var/memverge"]).stdout.split()
    assert left == ["pool", "prepared.json"]  # it is cleared all the same
    three.label()


def test_pods_of_a_node_that_is_shut_off_come_back_on_another_from_copies(
    three: OperatorSite,
) -> None:
    wanted = manifest(etcdConfig={"replicas": 3}, mvcontainerConfig={"SnapshotReplicas": 1})
    with three.machine(wanted):
        three.await_condition("Ready", "True", seconds=300)
        site = RequestsSite(three)
        site.namespace("spread")
        site.stateful_set("spread", "sdk", aware=True, replicas=3, spread=True)
        name = site.checkpoint("spread", "sdk", durability="Replicated")
        taken = three.cluster.get("checkpoint", name, "-n", "spread")["status"]
        homes = {row["pod"]: row["node"] for row in taken["members"]}
        assert sorted(homes.values()) == ["node1", "node2", "node3"]
        lost = _without_operator(three)
        (victim,) = (pod for pod, node in homes.items() if node == f"node{lost}")
        seen = site.last("spread", victim)

        def home() -> str:
            pods = three.cluster.get("pods", "-n", "spread")["items"]
            return str({p["metadata"]["name"]: p["spec"].get("nodeName") for p in pods}.get(victim))

        with _off(three, lost, vouched=True):
            eventually(lambda: home() in {*homes.values()} - {f"node{lost}"}, "it to move", 120)
            site.await_members("spread", "sdk", 3)
            words = three.cluster.logs(victim, "-c", "main", namespace="spread").splitlines()[0]
            assert 0 < int(words.removeprefix("began ")) <= seen
        three.cluster.kubectl("delete", "namespace", "spread", "--timeout=150s", seconds=180)
    _forget_checkpoints(three)


def test_lost_node_does_not_stop_a_deletion_and_is_told_of(three: OperatorSite) -> None:
    three.apply(manifest())
    three.await_condition("AgentsReady", "True", "Ready", seconds=240)
    lost = _without_operator(three)
    with _off(three, lost):
        three.delete(seconds=240)
        events = three.cluster.get("events", "-n", NAMESPACE)["items"]
        told = [event["message"] for event in events if event["reason"] == "NodeNotCleared"]
        assert any(message.startswith(f"node node{lost}: does not answer") for message in told)


def _forget_checkpoints(site: OperatorSite) -> None:
    """With the catalog of them, which is kept as they are, and is one of three members."""
    for node in site.cluster.nodes:
        node.enter(["rm", "-rf", f"{FOLDER}/pool/regions", f"{FOLDER}/pool/processes"])
    site.cluster.kubectl("delete", "persistentvolumeclaims", "--all", "-n", NAMESPACE)


@contextmanager
def _off(site: OperatorSite, number: int, *, vouched: bool = False) -> Iterator[None]:
    """A machine that is off and missed, with the taint of who vouches for it; on again afterwards,
    for the tests behind."""
    taint = "node.kubernetes.io/out-of-service"
    words = ("taint", "node", f"node{number}")
    site.cluster.power_off(number)
    try:
        _await_missed(site, number)
        if vouched:
            site.cluster.kubectl(*words, f"{taint}=off:NoExecute")
        yield
    finally:
        site.cluster.power_on(number)
        # A pool in memory is gone with the power.
        site.cluster.nodes[number - 1].enter([str(MMSNAP), "node", "prepare", *_EMULATED])
        if vouched:
            site.cluster.kubectl(*words, f"{taint}-")


def _await_missed(site: OperatorSite, number: int) -> None:
    query = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    eventually(
        lambda: site.cluster.kubectl("get", "node", f"node{number}", "-o", query) == "Unknown",
        "that the node is missed",
        120,
    )


def _without_operator(site: OperatorSite) -> int:
    """A node that has neither the operator nor the API server."""
    label = "app.kubernetes.io/name=memory-machine-operator"
    (pod,) = site.cluster.get("pods", "-n", NAMESPACE, "-l", label)["items"]
    return next(number for number in (3, 2) if pod["spec"]["nodeName"] != f"node{number}")
