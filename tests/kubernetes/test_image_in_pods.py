"""The image in pods of a real cluster, under the strictest standard that Kubernetes has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.image.product import archive_of_checkout, release
from tests.kubernetes.workloads import create, pod

pytestmark = pytest.mark.timeout(900)

IMAGE = release()
_LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SHARED = {"volumeMounts": [{"name": "shared", "mountPath": "/opt/memverge"}]}


@pytest.fixture(scope="module", autouse=True)
def image(cluster: Cluster) -> None:
    """On every node."""
    cluster.load_image(archive_of_checkout(IMAGE))


@pytest.fixture
def strict(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A namespace in which only pods of the restricted standard may run."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, label)
    return namespace


def _injected(name: str, *command: str, **container: Any) -> dict[str, Any]:
    """A pod of another image whose first process is mmsnap-init, handed over by ours."""
    hand_over = {
        "name": "mmsnap",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/opt/mmsnap/mmsnap-init", "--install", "/opt/memverge"],
        "securityContext": _LOCKED,
        **_SHARED,
    }
    return pod(
        name,
        *("/opt/memverge/mmsnap-init", "--", *command),
        container={"securityContext": {**_LOCKED, "runAsUser": 4321}, **_SHARED, **container},
        initContainers=[hand_over],
        volumes=[{"name": "shared", "emptyDir": {}}],
        restartPolicy="Never",
    )


def _ended(cluster: Cluster, namespace: str, name: str) -> int:
    """The exit code of the pod's program."""

    def state() -> dict[str, Any]:
        found = cluster.get("pod", name, "-n", namespace)
        told: dict[str, Any] = found["status"]["containerStatuses"][0]["state"]
        return told

    eventually(lambda: "terminated" in state(), f"the end of {name}", 120)
    return int(state()["terminated"]["exitCode"])


def test_a_locked_pod_of_any_image_runs_behind_mmsnap_init(cluster: Cluster, strict: str) -> None:
    script = "tr '\\0' ' ' < /proc/1/cmdline; echo; id -u; exit 42"
    create(cluster, strict, _injected("ends", "sh", "-c", script))
    assert _ended(cluster, strict, "ends") == 42
    first, user = cluster.logs("ends", namespace=strict).splitlines()
    assert first.startswith("/opt/memverge/mmsnap-init -- sh -c")
    assert user == "4321"


def test_deleting_a_pod_reaches_its_program(cluster: Cluster, strict: str) -> None:
    script = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    waits = _injected("waits", "sh", "-c", script)
    waits["spec"]["terminationGracePeriodSeconds"] = 60
    create(cluster, strict, waits)
    eventually(lambda: cluster.logs("waits", namespace=strict) == "up\n", "its first word", 60)
    # Within much less than the time it is granted: it heard of it.
    words = ("delete", "pod", "waits", "-n", strict, "--wait=true", "--timeout=20s")
    cluster.kubectl(*words, seconds=30)


def test_the_image_itself_runs_locked(cluster: Cluster, strict: str) -> None:
    """As the operator's pods do: no root, nothing to write."""
    own = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["agent", "--help"],
        "securityContext": _LOCKED,
    }
    spec = {"containers": [own], "restartPolicy": "Never"}
    create(
        cluster,
        strict,
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own"}, "spec": spec},
    )
    assert _ended(cluster, strict, "own") == 0
    assert "mmsnap agent" in cluster.logs("own", namespace=strict)
