"""Three nodes are three machines: what is on one is not on another, and each can be lost."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.workloads import create, pod

pytestmark = pytest.mark.timeout(600)

_SERVES = "hostname > /tmp/index.html; exec python3 -m http.server -d /tmp 8000"
_ASKS = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read())"


def test_pods_of_different_nodes_talk_to_each_other(three_nodes: Cluster, namespace: str) -> None:
    cluster = three_nodes
    names = [node.name for node in cluster.nodes]
    create(
        cluster,
        namespace,
        *(pod(f"on-{name}", "sh", "-c", _SERVES, nodeName=name) for name in names),
    )
    for name in names:
        cluster.wait_for(f"pod/on-{name}", namespace=namespace)
    for here, there in zip(names, names[1:] + names[:1], strict=True):
        status = cluster.get("pod", f"on-{there}", "-n", namespace)["status"]
        asks = ("python3", "-c", _ASKS, f"http://{status['podIP']}:8000/")
        words = ("exec", "-n", namespace, f"on-{here}", "--", *asks)
        eventually(
            lambda words=words, there=there: f"on-{there}" in cluster.kubectl(*words),
            f"{there} to answer {here}",
            20,
        )


def test_a_node_is_cut_off_and_heard_again(three_nodes: Cluster) -> None:
    cluster, (_, second, third) = three_nodes, three_nodes.nodes
    asks = ["curl", "-sk", "--max-time", "1", f"https://{third.address}:10250/healthz"]
    assert second.enter(asks, check=False).returncode == 0
    cluster.cut_off(third.number)
    assert second.enter(asks, check=False).returncode != 0
    cluster.mend(third.number)
    eventually(lambda: second.enter(asks), "the node to be heard")


def test_a_node_sees_its_own_disk_and_processes_only(three_nodes: Cluster) -> None:
    first, second, _ = three_nodes.nodes
    first.enter(["touch", "/var/memverge/mine", "/etc/mine", "/run/mine", "/dev/shm/mine"])
    for place in ("/var/memverge/mine", "/etc/mine", "/run/mine", "/dev/shm/mine"):
        assert second.enter(["test", "-e", place], check=False).returncode == 1, place
    assert "etcd" in first.enter(["ps", "-e", "-o", "comm="]).stdout
    assert "etcd" not in second.enter(["ps", "-e", "-o", "comm="]).stdout


def test_a_node_without_power_is_noticed_and_comes_back(
    three_nodes: Cluster, namespace: str
) -> None:
    cluster, node = three_nodes, three_nodes.nodes[-1]
    create(cluster, namespace, pod("stays", "sleep", "600", nodeName=node.name))
    cluster.wait_for("pod/stays", namespace=namespace)
    cluster.power_off(node.number)
    assert not node.machine.is_on()
    cluster.wait_for(f"node/{node.name}", "condition=Ready=Unknown", seconds=90)

    cluster.power_on(node.number)
    cluster.wait_for(f"node/{node.name}")
    cluster.wait_for("pod/stays", namespace=namespace, seconds=90)
    status = cluster.get("pod", "stays", "-n", namespace)["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
