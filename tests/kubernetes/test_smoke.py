"""The cluster is what it says: what any user of Kubernetes takes for granted works in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually

pytestmark = pytest.mark.timeout(300)

_ASKS = """
import socket, ssl, sys, urllib.error, urllib.request
print(urllib.request.urlopen("http://web/", timeout=5).read().decode().strip())
account = "/var/run/secrets/kubernetes.io/serviceaccount"
tls = ssl.create_default_context(cafile=f"{account}/ca.crt")
asked = urllib.request.Request("https://kubernetes.default.svc/version")
asked.add_header("Authorization", "Bearer " + open(f"{account}/token").read())
print(urllib.request.urlopen(asked, context=tls, timeout=5).read().decode())
"""
_SERVES = "echo hello > /tmp/index.html; echo serving; exec python3 -m http.server -d /tmp 8000"


def pod(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    """A pod of one container, with Debian and Python."""
    container = {
        "name": "main",
        "image": "localhost/debian:bookworm",
        "command": list(command),
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def create(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)


def test_a_pod_runs_and_its_logs_are_read(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, pod("talks", "sh", "-c", "echo spoken; sleep 600"))
    cluster.wait_for("pod/talks", namespace=namespace)
    eventually(lambda: cluster.logs("talks", namespace=namespace) == "spoken\n", "its words")
    assert "bookworm" in cluster.kubectl(
        "exec", "-n", namespace, "talks", "--", "cat", "/etc/os-release"
    )


def test_names_and_services_work_from_a_pod(cluster: Cluster, namespace: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]},
    }
    ready = {"readinessProbe": {"httpGet": {"port": 8000}, "periodSeconds": 1}}
    web = pod("web", "sh", "-c", _SERVES, container=ready)
    create(cluster, namespace, service, web, pod("asks", "sleep", "600"))
    for name in ("web", "asks"):
        cluster.wait_for(f"pod/{name}", namespace=namespace)

    def answer() -> str:
        words = ("exec", "-n", namespace, "asks", "--", "python3", "-c", _ASKS)
        return cluster.kubectl(*words)

    eventually(lambda: answer().startswith("hello\n"), "the service's answer", 20)
    assert json.loads(answer().split("\n", 1)[1])["gitVersion"].startswith("v1.")


def test_a_volume_is_made_for_a_claim_and_goes_with_it(cluster: Cluster, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    writes = pod(
        "writes",
        *("sh", "-c", "echo kept > /data/file; sleep 600"),
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    )
    create(cluster, namespace, claim, writes)
    cluster.wait_for("pod/writes", namespace=namespace)
    volume = cluster.get("pvc", "data", "-n", namespace)["spec"]["volumeName"]
    folder = cluster.node.disk / "var/lib/volumes" / volume
    eventually(lambda: (folder / "file").read_text() == "kept\n", "what the pod wrote")

    cluster.kubectl("delete", "-n", namespace, "pod/writes", "pvc/data")
    eventually(lambda: not folder.exists(), "the folder to go")
    eventually(lambda: volume not in cluster.kubectl("get", "pv", "-o", "name"), "the volume to go")
