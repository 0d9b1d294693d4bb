"""Requests put to a cluster, as an administrator or as somebody, and what is said to them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.kubernetes.pods_site import PodsSite

Manifest = dict[str, Any]

API = "mm.memverge.com/v1alpha1"
_RBAC = "rbac.authorization.k8s.io"


class Asking:
    """Asks without making anything, and takes the checkpoints that are asked about.

    Attributes:
        namespace: where the workloads are.
        checkpoint: of the workload that is restored; `ordered`: of one that starts pod by pod.
    """

    def __init__(self, site: PodsSite, namespace: str) -> None:
        self.site = site
        self.cluster: Cluster = site.cluster
        self.namespace = namespace
        self.checkpoint = ""
        self.ordered = ""

    def ask(self, kind: str, spec: Manifest, namespace: str = "", *words: str) -> str:
        """The warnings; PermissionError has why it was refused."""
        manifest = {
            "apiVersion": API,
            "kind": kind,
            "metadata": {"generateName": "asked-", "namespace": namespace or self.namespace},
            "spec": spec,
        }
        command = ("create", "-f", "-", "--dry-run=server", "-o", "name", *words)
        told = subprocess.run(
            self.cluster.kubectl_command(*command),
            input=json.dumps(manifest),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if told.returncode:
            raise PermissionError(told.stderr)
        return told.stderr

    def refused(self, kind: str, spec: Manifest, namespace: str = "", *words: str) -> str:
        """Why."""
        with pytest.raises(PermissionError) as refusal:
            self.ask(kind, spec, namespace, *words)
        return str(refusal.value)

    def take(self, name: str, **spec: Any) -> Manifest:
        """The `spec` of a CheckpointRequest."""
        return {"source": {"kind": "StatefulSet", "name": name}, **spec}

    def restore(self, strategy: str, target: str = "", **more: Any) -> Manifest:
        """The `spec` of a RestoreRequest, of the one checkpoint unless `source` says another."""
        source = more.pop("source", {"checkpointName": self.checkpoint})
        named = {"target": {"kind": "StatefulSet", "name": target}} if target else {}
        return {"source": source, "strategy": strategy, **named, **more}

    def from_elsewhere(self) -> Manifest:
        """A clone of it in another namespace."""
        source = {"namespace": self.namespace, "checkpointName": self.checkpoint}
        return self.restore("Clone", "copy", source=source)

    def taken(self, name: str) -> str:
        """The Checkpoint of a request that was let through, and carried out."""
        self.cluster.apply(
            {
                "apiVersion": API,
                "kind": "CheckpointRequest",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": self.take(name),
            }
        )
        self.cluster.wait_for(
            f"checkpointrequest/{name}", "condition=Complete", namespace=self.namespace, seconds=90
        )
        request = self.cluster.get("checkpointrequest", name, "-n", self.namespace)
        return str(request["status"]["checkpointName"])

    @contextmanager
    def shared(self, namespace: str) -> Iterator[None]:
        """The checkpoint may be restored there meanwhile."""
        place = ("checkpoint", self.checkpoint, "-n", self.namespace, "--type=merge", "-p")
        self.cluster.kubectl(
            "patch", *place, json.dumps({"spec": {"allowedNamespaces": [namespace]}})
        )
        try:
            yield
        finally:
            self.cluster.kubectl("patch", *place, json.dumps({"spec": {"allowedNamespaces": None}}))

    @contextmanager
    def bound(
        self, user: str, namespace: str, role: str, kind: str = "ClusterRole"
    ) -> Iterator[None]:
        """Somebody has a role in a namespace meanwhile."""
        name = f"{user}-{role}"
        self.cluster.apply(
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": namespace},
                "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
                "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
            }
        )
        try:
            yield
        finally:
            self.cluster.kubectl("delete", "rolebinding", name, "-n", namespace)
