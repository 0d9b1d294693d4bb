"""What manifests depend on besides the specification, and what all of them have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.names import (
    API_VERSION,
    COMPONENT_LABEL,
    INSTANCE_LABEL,
    KIND,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    OPERATOR,
)

Manifest = dict[str, Any]

# Of our image everywhere: one that was brought to the nodes is enough, under any tag; and a pod
# that starts again is of the version that it was.
PULL_POLICY: Final = "IfNotPresent"


@dataclass(frozen=True, slots=True)
class Context:
    """The MemoryMachine, and its surroundings.

    Attributes:
        pull_secret: the name of the secret that images are pulled with; empty: there is none.
        kubelet_folder, nri_folder: where a node has the kubelet's files and containerd's socket
            for plugins.
    """

    name: str
    namespace: str
    uid: str
    pull_secret: str = ""
    kubelet_folder: str = "/var/lib/kubelet"
    nri_folder: str = "/var/run/nri"

    def labels(self, component: str) -> dict[str, str]:
        """What an object of this MemoryMachine is found by."""
        return {
            NAME_LABEL: "memory-machine",
            INSTANCE_LABEL: self.name,
            COMPONENT_LABEL: component,
            MANAGED_BY_LABEL: OPERATOR,
        }

    def selector(self, component: str) -> dict[str, str]:
        """What pods of a component are selected by; never changed, so it is short."""
        return {INSTANCE_LABEL: self.name, COMPONENT_LABEL: component}

    def metadata(self, name: str, component: str) -> Manifest:
        """Of an object in the namespace of the MemoryMachine, which owns it."""
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(component),
            "ownerReferences": [self.owner()],
        }

    def cluster_metadata(self, name: str, component: str) -> Manifest:
        """Of an object of the whole cluster, which nothing in a namespace can own."""
        return {"name": name, "labels": self.labels(component)}

    def owner(self) -> Manifest:
        """The reference that lets the garbage collector remove what is left."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }

    def pod_spec(self, spec: Mapping[str, Any]) -> Manifest:
        """A pod's specification, with the secret to pull its images, if there is one."""
        secrets = [{"name": self.pull_secret}] if self.pull_secret else []
        return {**spec, **({"imagePullSecrets": secrets} if secrets else {})}
