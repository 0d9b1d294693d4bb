"""What the operator may do: in the whole cluster, and in its own namespace.

There is no wildcard, and no Secret outside of the operator's namespace. What is applied on the
server's side needs `patch`, and `create` where there is none yet. StatefulSets, and so pods, it can
make wherever it is asked to: admission lets only those ask who could make one themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mmsnap_operator.names import CSI_DRIVER, GROUP, OPERATOR, PLURAL, WEBHOOK

Manifest = dict[str, Any]

_REQUESTS: Final = ("checkpoints", "checkpointrequests", "restorerequests", "checkpointschedules")
_RBAC: Final = "rbac.authorization.k8s.io"


def _rule(groups: str, resources: str, verbs: str, *names: str) -> Manifest:
    rule: Manifest = {
        "apiGroups": [groups],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }
    return rule | ({"resourceNames": list(names)} if names else {})


_IN_THE_CLUSTER: Final = (
    # MemoryMachines are kept; requests are carried out.
    _rule(GROUP, PLURAL, "get list watch patch"),
    _rule(GROUP, f"{PLURAL}/status", "patch"),
    _rule(GROUP, "checkpoints", "get list watch create patch delete"),
    _rule(GROUP, "checkpointrequests", "list watch create patch delete"),
    _rule(GROUP, "restorerequests", "list watch patch delete"),
    _rule(GROUP, "checkpointschedules", "get list watch patch"),
    _rule(GROUP, " ".join(f"{plural}/status" for plural in _REQUESTS), "patch"),
    # kopf waits for definitions that are not there yet.
    _rule("apiextensions.k8s.io", "customresourcedefinitions", "list watch"),
    # Its own are watched; those of a request's source are read.
    _rule("apps", "daemonsets statefulsets", "get list watch"),
    _rule("apps", "deployments replicasets", "get"),
    _rule("batch", "jobs", "get"),
    _rule("", "pods", "get list"),
    _rule("", "namespaces", "get"),
    _rule("", "nodes", "list"),
    _rule("policy", "poddisruptionbudgets", "list"),
    # Restores make sets anew, and scale them.
    _rule("apps", "statefulsets", "create patch"),
    _rule("", "events", "create"),
    # Whether the user who asks may.
    _rule("authorization.k8s.io", "subjectaccessreviews", "create"),
    _rule("storage.k8s.io", "storageclasses", "list"),
    # What is made in the whole cluster: one driver, and two configurations of one webhook.
    _rule("storage.k8s.io", "csidrivers", "create"),
    _rule("storage.k8s.io", "csidrivers", "patch delete", CSI_DRIVER),
    _rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "list"),
    _rule(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations validatingwebhookconfigurations",
        "create",
    ),
    _rule(
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations validatingwebhookconfigurations",
        "patch delete",
        WEBHOOK,
    ),
    # Since when the one for requests is there.
    _rule("admissionregistration.k8s.io", "validatingwebhookconfigurations", "get", WEBHOOK),
    # What it is owned by, so that it goes with the installation.
    _rule(_RBAC, "clusterroles", "get", OPERATOR),
)
_IN_ITS_NAMESPACE: Final = (
    _rule("", "configmaps secrets serviceaccounts services", "get create patch delete"),
    _rule("", "pods", "create delete"),
    _rule("", "persistentvolumeclaims", "list delete"),
    _rule("apps", "daemonsets statefulsets", "create patch delete"),
    _rule("policy", "poddisruptionbudgets", "get create patch delete"),
)


def cluster_role() -> Manifest:
    """In the whole cluster."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": OPERATOR},
        "rules": list(_IN_THE_CLUSTER),
    }


def role(namespace: str) -> Manifest:
    """Where what it makes is."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": OPERATOR, "namespace": namespace},
        "rules": list(_IN_ITS_NAMESPACE),
    }


def bindings(namespace: str) -> Sequence[Manifest]:
    """Both, to its account."""
    account = {"kind": "ServiceAccount", "name": OPERATOR, "namespace": namespace}

    def binding(kind: str, role_kind: str, where: Manifest) -> Manifest:
        return {
            "apiVersion": f"{_RBAC}/v1",
            "kind": kind,
            "metadata": {"name": OPERATOR, **where},
            "roleRef": {"apiGroup": _RBAC, "kind": role_kind, "name": OPERATOR},
            "subjects": [account],
        }

    return [
        binding("ClusterRoleBinding", "ClusterRole", {}),
        binding("RoleBinding", "Role", {"namespace": namespace}),
    ]
