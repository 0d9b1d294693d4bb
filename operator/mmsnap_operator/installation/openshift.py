"""OpenShift's own admission of pods: which accounts of the namespace may run what.

Agents are root on their nodes, and OpenShift wants that said in SecurityContextConstraints; the
operator runs as a user of its own. A file beside the others: elsewhere there is no such kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mmsnap_operator.names import AGENTS, ETCD, OPERATOR

Manifest = dict[str, Any]

_GROUP: Final = "security.openshift.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_ANY: Final = {"type": "RunAsAny"}
_IDENTITIES: Final = ("runAsUser", "seLinuxContext", "fsGroup", "supplementalGroups")


def objects(namespace: str) -> Sequence[Manifest]:
    """The constraints for the agents and etcd, and who may use which."""
    return [
        _agents(),
        _etcd(),
        *_use(namespace, AGENTS, AGENTS),
        *_use(namespace, ETCD, ETCD),
        *_use(namespace, OPERATOR, "nonroot-v2"),
    ]


def _agents() -> Manifest:
    return _constraints(
        AGENTS,
        allowHostDirVolumePlugin=True,
        allowHostNetwork=True,
        allowHostPID=True,
        allowHostPorts=True,
        allowPrivilegedContainer=True,
        allowPrivilegeEscalation=True,
        allowedCapabilities=["*"],
        seccompProfiles=["*"],
        volumes=["configMap", "hostPath", "secret"],
    )


def _etcd() -> Manifest:
    """Root in its container, with no capability but the one to read its volume."""
    return _constraints(
        ETCD,
        allowPrivilegeEscalation=False,
        allowedCapabilities=["DAC_OVERRIDE"],
        requiredDropCapabilities=["ALL"],
        seccompProfiles=["runtime/default"],
        volumes=["persistentVolumeClaim", "secret"],
    )


def _constraints(name: str, **allowed: Any) -> Manifest:
    nothing = {
        "allowHostDirVolumePlugin": False,
        "allowHostIPC": False,
        "allowHostNetwork": False,
        "allowHostPID": False,
        "allowHostPorts": False,
        "allowPrivilegedContainer": False,
        "readOnlyRootFilesystem": False,
    }
    anybody = dict.fromkeys(_IDENTITIES, _ANY)
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "SecurityContextConstraints",
        "metadata": {"name": name},
        **nothing,
        **allowed,
        **anybody,
        "users": [],
        "groups": [],
    }


def _use(namespace: str, account: str, constraints: str) -> Sequence[Manifest]:
    name = f"{account}-scc"
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": [
                {
                    "apiGroups": [_GROUP],
                    "resources": ["securitycontextconstraints"],
                    "resourceNames": [constraints],
                    "verbs": ["use"],
                }
            ],
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]
