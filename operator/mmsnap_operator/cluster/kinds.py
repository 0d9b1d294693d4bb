"""Where the API server has each kind of object that the operator deals with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.names import API_VERSION, KIND, PLURAL


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object; `namespaced` False: of the whole cluster."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """The place of an object; without a name, of all of them."""
        root = "api" if "/" not in self.api_version else "apis"
        parts = [root, self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/" + "/".join([*parts, self.plural, *([name] if name else [])])


CHECKPOINT: Final = Kind(API_VERSION, "Checkpoint", "checkpoints")
CHECKPOINT_REQUEST: Final = Kind(API_VERSION, "CheckpointRequest", "checkpointrequests")
CHECKPOINT_SCHEDULE: Final = Kind(API_VERSION, "CheckpointSchedule", "checkpointschedules")
CLUSTER_ROLE: Final = Kind(
    "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False
)
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
CSI_DRIVER: Final = Kind("storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False)
DAEMON_SET: Final = Kind("apps/v1", "DaemonSet", "daemonsets")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
DISRUPTION_BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
EVENT: Final = Kind("v1", "Event", "events")
JOB: Final = Kind("batch/v1", "Job", "jobs")
MEMORY_MACHINE: Final = Kind(API_VERSION, KIND, PLURAL)
NAMESPACE: Final = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE: Final = Kind("v1", "Node", "nodes", namespaced=False)
POD: Final = Kind("v1", "Pod", "pods")
REPLICA_SET: Final = Kind("apps/v1", "ReplicaSet", "replicasets")
RESTORE_REQUEST: Final = Kind(API_VERSION, "RestoreRequest", "restorerequests")
SECRET: Final = Kind("v1", "Secret", "secrets")
SERVICE: Final = Kind("v1", "Service", "services")
SERVICE_ACCOUNT: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
STATEFUL_SET: Final = Kind("apps/v1", "StatefulSet", "statefulsets")
STORAGE_CLASS: Final = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
SUBJECT_ACCESS_REVIEW: Final = Kind(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
VALIDATION: Final = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
VOLUME_CLAIM: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
WEBHOOK: Final = Kind(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)

_ALL: Final = (
    CHECKPOINT, CHECKPOINT_REQUEST, CHECKPOINT_SCHEDULE, CLUSTER_ROLE, CONFIG_MAP, CSI_DRIVER,
    DAEMON_SET, DEPLOYMENT, DISRUPTION_BUDGET, EVENT, JOB, MEMORY_MACHINE, NAMESPACE, NODE, POD,
    REPLICA_SET, RESTORE_REQUEST, SECRET, SERVICE, SERVICE_ACCOUNT, STATEFUL_SET, STORAGE_CLASS,
    SUBJECT_ACCESS_REVIEW, VALIDATION, VOLUME_CLAIM, WEBHOOK,
)  # fmt: skip
_BY_NAME: Final[Mapping[tuple[str, str], Kind]] = {
    (kind.api_version, kind.name): kind for kind in _ALL
}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a manifest; KeyError when the operator deals with none such."""
    return _BY_NAME[manifest["apiVersion"], manifest["kind"]]
