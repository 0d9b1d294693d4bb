"""The cluster is what it says: what any user of Kubernetes takes for granted works in it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, ClusterFailed
from tests.cluster.waiting import eventually
from tests.kubernetes.workloads import create, pod

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
    # From where the API server calls webhooks.
    place = cluster.get("service", "web", "-n", namespace)["spec"]["clusterIP"]
    assert cluster.node.enter(["curl", "-s", f"http://{place}/"]).stdout == "hello\n"


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


def test_a_mount_in_a_privileged_pod_reaches_the_node(cluster: Cluster, namespace: str) -> None:
    mount = {"name": "shared", "mountPath": "/shared", "mountPropagation": "Bidirectional"}
    folder = f"/var/memverge/{namespace}"
    mounts = pod(
        "mounts",
        *(
            "sh",
            "-c",
            "mkdir /shared/in; mount -t tmpfs in /shared/in; touch /shared/in/file; sleep 600",
        ),
        container={"securityContext": {"privileged": True}, "volumeMounts": [mount]},
        volumes=[{"name": "shared", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}],
    )
    create(cluster, namespace, mounts)
    cluster.wait_for("pod/mounts", namespace=namespace)
    eventually(lambda: (cluster.node.machine.root / f"{folder[1:]}/in/file").exists(), "the mount")
    assert not (cluster.node.disk / f"{folder[1:]}/in/file").exists(), "it reached this machine"


def test_the_restricted_standard_is_enforced(cluster: Cluster, namespace: str) -> None:
    standard = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, standard)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        create(cluster, namespace, pod("anything", "true"))
    assert "violates PodSecurity" in refused.value.stderr


def test_containerd_serves_plugins_where_they_look_for_it(cluster: Cluster) -> None:
    assert (cluster.node.machine.root / "run/nri/nri.sock").is_socket()


def test_the_kernel_s_settings_are_not_the_node_s_to_change(cluster: Cluster) -> None:
    """The kubelet sets what a machine does when its kernel panics, for all who share the kernel."""
    setting = Path("/proc/sys/kernel/panic")
    before = setting.read_text()
    assert cluster.node.enter(["cat", str(setting)]).stdout == "10\n", "as the kubelet wants it"
    cluster.node.enter(["sh", "-c", f"echo 77 > {setting}"])
    assert setting.read_text() == before
    cluster.node.enter(["sh", "-c", f"echo 10 > {setting}"])


def test_what_does_not_come_about_is_told_with_the_logs(cluster: Cluster, namespace: str) -> None:
    create(cluster, namespace, pod("never", "true", container={"image": "localhost/absent:1"}))
    eventually(lambda: "ErrImage" in cluster.kubectl("get", "pods", "-n", namespace), "its fate")
    with pytest.raises(ClusterFailed) as failed:
        cluster.wait_for("pod/never", namespace=namespace, seconds=1)
    folder = Path(str(failed.value).rsplit("logs: ", 1)[1])
    told = (folder / f"pod-{namespace}-never.txt").read_text()
    assert "localhost/absent:1" in told
    assert (folder / "node1/kubelet.log").stat().st_size > 0
    assert "localhost/absent:1" in (folder / "events.txt").read_text()
