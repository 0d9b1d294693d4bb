"""The operator on the cluster of the tests, installed as users install it, and what they ask of it.

The image is that of this checkout; MMSNAP_IMAGE may name its archive, made before.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.image.product import archive_of_checkout, release
from tests.kubernetes.rights import asked

NAMESPACE: Final = "memverge"
MACHINE: Final = "memorymachine"
IMAGE: Final = "localhost/mmsnap:test"
FOLDER: Final = Path("/var/memverge")
MMSNAP: Final = Path(sys.executable).with_name("mmsnap")
WEBHOOK: Final = "memory-machine-webhook"
_INSTALL: Final = Path(__file__).parents[2] / "operator" / "manifests" / "install.yaml"
# What is in every namespace, or comes and goes by itself.
_PASSING: Final = ("events", "events.events.k8s.io", "pods.metrics.k8s.io", "leases")


def manifest(**spec: Any) -> dict[str, Any]:
    """A MemoryMachine for this cluster, with one etcd; more as given."""
    known = {
        "imageRepository": "localhost",
        "mmVersion": "test",
        "pmemEmulation": True,
        "etcdConfig": {"image": "localhost/etcd:3.4", "storageClass": "standard", "replicas": 1},
        "mvcontainerConfig": {"SnapshotReplicas": 1},
    }
    for name, value in spec.items():
        inner = known.get(name)
        known[name] = {**inner, **value} if isinstance(inner, dict) else value
    return {
        "apiVersion": "mm.memverge.com/v1alpha1",
        "kind": "MemoryMachine",
        "metadata": {"name": MACHINE, "namespace": NAMESPACE},
        "spec": known,
    }


class OperatorSite:
    """The operator in a cluster; one MemoryMachine at a time, unless a test makes more."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._since = ""

    def install(self) -> None:
        """As the documentation says: one file."""
        self.cluster.load_image(_archive())
        # A predecessor outlives its rights for a moment, and goes on asking.
        self._since = datetime.now(UTC).isoformat()
        self.apply_manifest(IMAGE)
        self.cluster.wait_for(
            "deployment/memory-machine-operator",
            "condition=Available",
            namespace=NAMESPACE,
            seconds=120,
        )
        eventually(self.asks_about_requests, "the webhook of requests", 60)

    def asks_about_requests(self) -> bool:
        """Whether the API server asks before it takes one."""
        words = (
            "get",
            "validatingwebhookconfiguration",
            WEBHOOK,
            "--ignore-not-found",
            "-o",
            "name",
        )
        return bool(self.cluster.kubectl(*words).strip())

    def apply_manifest(self, image: str) -> None:
        """The operator of this image, in place of whatever there is."""
        text = _INSTALL.read_text()
        assert release() in text
        text = text.replace(release(), image)
        self.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)

    def uninstall(self) -> None:
        """As install.yaml says. The operator has to have had the rights to all that it did.

        It leaves nobody asked.
        """
        *before, _ = printed = re.findall(r"^#   kubectl (.*)$", _INSTALL.read_text(), re.MULTILINE)
        assert printed[-1] == "delete -f install.yaml"
        for command in before:
            self.cluster.kubectl(*command.split(), seconds=300)
        # An API server that has just started forbids for a moment what it allows.
        allowed = asked(self.cluster, "allow", self._since)
        refused = asked(self.cluster, "forbid", self._since) - allowed
        self.cluster.kubectl("delete", "--ignore-not-found", "-f", str(_INSTALL), seconds=180)
        assert not refused
        eventually(lambda: not self.asks_about_requests(), "the webhook to go with the rest", 60)

    def prepare(self, *options: str) -> None:
        """The node, as its administrator does it."""
        self.cluster.node.enter([str(MMSNAP), "node", "prepare", *options])

    def label(self, *, off: bool = False) -> None:
        word = "storage-" if off else "storage=pmem"
        self.cluster.kubectl("label", "node", "--all", "--overwrite", word)

    def apply(self, machine: Mapping[str, Any]) -> None:
        self.cluster.apply(machine)

    def delete(self, name: str = MACHINE, seconds: float = 150) -> None:
        words = ("delete", "memorymachine", name, "-n", NAMESPACE, "--ignore-not-found")
        self.cluster.kubectl(*words, seconds=seconds)

    def patch(self, **spec: Any) -> None:
        patch = json.dumps({"spec": spec})
        words = ("patch", "memorymachine", MACHINE, "-n", NAMESPACE, "--type=merge", "-p", patch)
        self.cluster.kubectl(*words)

    def status(self, name: str = MACHINE) -> dict[str, Any]:
        found = self.cluster.get("memorymachine", name, "-n", NAMESPACE)
        status: dict[str, Any] = found.get("status") or {}
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return {}
        return status

    def condition(self, kind: str, name: str = MACHINE) -> dict[str, str]:
        """Of the present generation; empty: nothing is known yet."""
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == kind:
                found: dict[str, str] = condition
                return found
        return {}

    def await_condition(
        self, kind: str, status: str, reason: str = "", *, name: str = MACHINE, seconds: float = 90
    ) -> str:
        """The message of a condition, once it is so."""

        def holds() -> bool:
            found = self.condition(kind, name)
            return found.get("status") == status and found["reason"] == (reason or found["reason"])

        eventually(holds, f"{kind} {status} {reason}", seconds)
        return self.condition(kind, name)["message"]

    def await_agents(self) -> None:
        self.await_condition("AgentsReady", "True", "Ready", seconds=180)

    def agents(self) -> list[dict[str, Any]]:
        """Their pods, without those that are going away."""
        label = "app.kubernetes.io/component=agent"
        pods = self.cluster.get("pods", "-n", NAMESPACE, "-l", label)["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def arguments(self) -> list[str]:
        """Of the agent that runs."""
        (agent,) = self.agents()
        args: list[str] = agent["spec"]["containers"][0]["args"]
        return args

    def objects(self) -> set[str]:
        """Everything that a MemoryMachine may leave behind, in the namespace and around it."""
        found = set()
        for namespaced, words in (("true", ("-n", NAMESPACE)), ("false", ())):
            told = self.cluster.kubectl(
                "api-resources", "--verbs=list", "-o", "name", f"--namespaced={namespaced}"
            )
            kinds = [kind for kind in told.split() if kind not in _PASSING]
            names = self.cluster.kubectl("get", ",".join(kinds), *words, "-o", "name", seconds=120)
            found |= set(names.split())
        return {name for name in found if not name.startswith(("lease.", "endpointslice."))}

    def files(self) -> set[str]:
        """What is on the node in the places that agents write to."""
        places = [
            FOLDER,
            Path("/var/lib/kubelet/plugins"),
            Path("/var/lib/kubelet/plugins_registry"),
        ]
        told = self.cluster.node.enter(["find", *map(str, places), "-mindepth", "0"], check=False)
        return set(told.stdout.splitlines())

    @contextmanager
    def machine(self, wanted: Mapping[str, Any]) -> Iterator[None]:
        """A MemoryMachine, gone afterwards."""
        self.apply(wanted)
        try:
            yield
        finally:
            self.delete()


def _archive() -> Path:
    made = os.environ.get("MMSNAP_IMAGE")
    if made:
        return Path(made)
    return archive_of_checkout(IMAGE)
