"""Every component dies and comes back, and no pod notices."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.workloads import create, pod

pytestmark = pytest.mark.timeout(600)


def test_every_component_comes_back_and_the_pods_live_on(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, pod("lives", "sh", "-c", "while date +%s; do sleep 0.2; done"))
    cluster.wait_for("pod/lives", namespace=namespace)
    before = _containers(cluster, namespace)

    for component in cluster.node.commands():
        was = cluster.node.machine.pid_of(component)
        cluster.restart(component)
        assert was is not None
        assert cluster.node.machine.pid_of(component) != was

        # Kubernetes still does what it is told, and knows its pods.
        name = f"after-{component}"
        create(cluster, namespace, pod(name, "sleep", "600"))
        cluster.wait_for(f"pod/{name}", namespace=namespace)
        assert _containers(cluster, namespace) == before, component

    said = cluster.logs("lives", "--tail=1", namespace=namespace)
    eventually(
        lambda: cluster.logs("lives", "--tail=1", namespace=namespace) > said,
        "the pod to go on",
        10,
    )


def _containers(cluster: Cluster, namespace: str) -> list[tuple[str, int]]:
    told = cluster.get("pod", "lives", "-n", namespace)["status"]["containerStatuses"]
    return [(each["containerID"], each["restartCount"]) for each in told]
