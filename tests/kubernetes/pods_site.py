"""Pods on a cluster with a MemoryMachine: what they run, and what is seen of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.kubernetes.operator_site import NAMESPACE, OperatorSite, manifest
from tests.kubernetes.workloads import create, pod

IMAGE: Final = "localhost/mmsnap:test"
PYTHON: Final = "/opt/mmsnap/bin/python3"
ASKED: Final = {"memory-machine.memverge.com/inject-env": "yes"}
RESTRICTED: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1234,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
HELD: Final = "/tmp/held"
# Counts in memory of its own until it is ended, and tells where it began. No cut of it begins while
# a file is there.
ATTACHED_PROGRAM: Final = f"""
import mmsnap, numpy, os, time
app = mmsnap.attach(size="64MiB")
with app.update():
    cells = app.array("cells", (1 << 20,), numpy.int64)
print("began", int(cells[0]), flush=True)
@app.before_checkpoint
def hold():
    while os.path.exists("{HELD}"):
        time.sleep(0.05)
while True:
    with app.update():
        cells += 1
    print(int(cells[0]), flush=True)
    time.sleep(0.1)
"""
# The same for a program that knows nothing.
UNAWARE_PROGRAM: Final = """
import time
n = 0
print("began", n, flush=True)
while True:
    n += 1
    print(n, flush=True)
    time.sleep(0.1)
"""


class PodsSite:
    """A cluster whose MemoryMachine is ready."""

    def __init__(self, operator: OperatorSite) -> None:
        self.operator = operator
        self.cluster: Cluster = operator.cluster

    def namespace(self, name: str, *labels: str) -> None:
        self.cluster.kubectl("create", "namespace", name)
        self.cluster.kubectl("label", "namespace", name, "memverge=enabled", *labels)

    def attached(self, namespace: str, name: str, **spec: Any) -> None:
        """A pod that calls mmsnap.attach(), as the restricted standard wants it."""
        container = {"image": IMAGE, "securityContext": RESTRICTED}
        self.create(
            namespace, pod(name, PYTHON, "-c", ATTACHED_PROGRAM, container=container, **spec)
        )

    def unaware(self, namespace: str, name: str, **spec: Any) -> None:
        """A pod with a program that is a member as a whole."""
        # Root, for where the machine itself lets nobody look at the limits of other users.
        container = {"image": IMAGE, "securityContext": {"runAsUser": 0}}
        self.create(
            namespace, pod(name, PYTHON, "-c", UNAWARE_PROGRAM, container=container, **spec)
        )

    def create(self, namespace: str, made: dict[str, Any], **annotations: str) -> None:
        made["metadata"]["annotations"] = {**ASKED, **annotations}
        create(self.cluster, namespace, made)

    def mmsnap(self, *words: str) -> str:
        """The command line, beside the agent of the first node."""
        agent = self.operator.agents()[0]["metadata"]["name"]
        return self.cluster.kubectl(
            "exec", "-n", NAMESPACE, agent, "-c", "agent", "--", "mmsnap", *words, seconds=120
        )

    def members(self) -> dict[str, str]:
        """The states of all members, by GROUP/MEMBER."""
        told = json.loads(self.mmsnap("ps", "-o", "json"))
        return {f"{row['group']}/{row['member']}": row["state"] for row in told}

    def used_bytes(self, group: str) -> int:
        """What the regions of a group take in the pool."""
        told = json.loads(self.mmsnap("usage", "-o", "json"))
        return sum(r["used_bytes"] for r in told["regions"] if r["region"].startswith(f"{group}."))

    def last(self, namespace: str, name: str) -> int:
        """What a pod of ours counted to."""
        return int(
            self.cluster.logs(name, "-c", "main", "--tail=1", namespace=namespace).split()[-1]
        )

    def restarts(self, namespace: str, name: str) -> int:
        status = self.cluster.get("pod", name, "-n", namespace)["status"]
        return int(status["containerStatuses"][0]["restartCount"])


@contextmanager
def pods_site(cluster: Cluster, capacity_gib: int = 1) -> Iterator[PodsSite]:
    operator = OperatorSite(cluster)
    operator.install()
    operator.prepare("--pmem-emulation", "--mm-capacity", str(capacity_gib))
    operator.label()
    operator.apply(manifest(podPrefixList=["hz"]))
    operator.await_condition("Ready", "True", seconds=180)
    try:
        yield PodsSite(operator)
    finally:
        operator.delete()
        operator.label(off=True)
        operator.prepare("--undo", "--yes")
        operator.uninstall()
