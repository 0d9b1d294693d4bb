"""A pod of a real cluster that leaves its command to the image is wrapped, and no other is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mmsnap.pods.nri import INIT_COMMAND, WRAP_ANNOTATION
from tests.cluster import control_plane, images
from tests.cluster.cluster import Cluster
from tests.kubernetes.nri_process import plugin_at

pytestmark = pytest.mark.timeout(300)

FROM_IMAGE = ["/usr/bin/etcd"]
WRAPPED = [*INIT_COMMAND, *FROM_IMAGE]


@pytest.fixture(scope="module")
def socket(cluster: Cluster) -> Path:
    """containerd's on the node, as it is reached from here."""
    return Path(f"/proc/{cluster.node.machine.init_pid}/root/run/nri/nri.sock")


@pytest.fixture(scope="module")
def init_folder(cluster: Cluster) -> str:
    """A folder of the node with `mmsnap-init` in it, as the webhook's init container fills one."""
    build = control_plane.CHECKOUT / "build/init"
    native = control_plane.CHECKOUT / "native"
    subprocess.run(["cmake", "-S", native, "-B", build, "--log-level=WARNING"], check=True)
    subprocess.run(["cmake", "--build", build, "--target", "mmsnap-init"], check=True)
    folder = cluster.work / "memverge"
    folder.mkdir(exist_ok=True)
    subprocess.run([build / "init/mmsnap-init", "--install", folder], check=True)
    return str(folder)


def test_a_command_of_the_image_is_wrapped_and_the_program_runs(
    cluster: Cluster, namespace: str, socket: Path, init_folder: str
) -> None:
    with plugin_at(socket):
        run(cluster, namespace, "asked", init_folder, {WRAP_ANNOTATION: "main"})
        run(cluster, namespace, "not-asked", init_folder, {})
    arguments, line = of_main(cluster, namespace, "asked")
    assert (arguments, line) == (WRAPPED, WRAPPED)
    assert of_main(cluster, namespace, "not-asked") == (FROM_IMAGE, FROM_IMAGE)


def test_pods_start_while_the_plugin_is_killed(
    cluster: Cluster, namespace: str, socket: Path, init_folder: str
) -> None:
    with plugin_at(socket) as plugin:
        plugin.kill()
        run(cluster, namespace, "asked", init_folder, {WRAP_ANNOTATION: "main"})
        run(cluster, namespace, "not-asked", init_folder, {})
        assert of_main(cluster, namespace, "not-asked") == (FROM_IMAGE, FROM_IMAGE)
    with plugin_at(socket) as plugin:
        assert plugin.next("missed") == ["asked", "main"]


def test_a_restart_of_containerd_brings_the_plugin_back(
    cluster: Cluster, namespace: str, socket: Path, init_folder: str
) -> None:
    with plugin_at(socket) as plugin:
        cluster.restart("containerd")
        plugin.await_state(False)
        plugin.await_state(True)
        run(cluster, namespace, "asked", init_folder, {WRAP_ANNOTATION: "main"})
    assert of_main(cluster, namespace, "asked")[0] == WRAPPED


def run(
    cluster: Cluster, namespace: str, name: str, init_folder: str, annotations: dict[str, str]
) -> None:
    """A pod whose program, etcd, serves: it is ready when it answers on its port."""
    port = 2379
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": images.ETCD,
                        "imagePullPolicy": "Never",
                        "env": [
                            {"name": "ETCD_LISTEN_CLIENT_URLS", "value": f"http://0.0.0.0:{port}"},
                            {
                                "name": "ETCD_ADVERTISE_CLIENT_URLS",
                                "value": f"http://localhost:{port}",
                            },
                        ],
                        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "init", "mountPath": "/opt/memverge"}],
                    }
                ],
                "volumes": [{"name": "init", "hostPath": {"path": init_folder}}],
            },
        }
    )
    cluster.wait_for(f"pod/{name}", namespace=namespace)


def of_main(cluster: Cluster, namespace: str, pod: str) -> tuple[list[str], list[str]]:
    """The container's arguments as containerd has them, and those of its first process."""
    status = cluster.get("pod", pod, "-n", namespace)["status"]["containerStatuses"][0]
    identity = status["containerID"].removeprefix("containerd://")
    ctr = ["ctr", "--namespace=k8s.io"]
    told = cluster.node.enter([*ctr, "containers", "info", identity]).stdout
    spec: dict[str, Any] = json.loads(told)["Spec"]
    tasks = cluster.node.enter([*ctr, "tasks", "ls"]).stdout.splitlines()
    pid = next(line.split()[1] for line in tasks if line.startswith(identity))
    line = cluster.node.enter(["cat", f"/proc/{pid}/cmdline"]).stdout
    return spec["process"]["args"], line.rstrip("\0").split("\0")
