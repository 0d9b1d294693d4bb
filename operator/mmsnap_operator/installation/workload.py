"""The operator itself: its namespace, account, Service and Deployment."""

from __future__ import annotations

from typing import Any, Final

from mmsnap_operator.installation.settings import Installation
from mmsnap_operator.names import NAME_LABEL, OPERATOR, WEBHOOK

Manifest = dict[str, Any]

_LABELS: Final = {NAME_LABEL: OPERATOR}
_POD_SECURITY: Final = "pod-security.kubernetes.io"
_USER: Final = 65532


def namespace(wanted: Installation) -> Manifest:
    """Agents are root on their nodes, so no Pod Security standard but `privileged` lets them be.

    Nobody is warned of it again and again; the audit log still tells what else would not pass.
    """
    labels = {"enforce": "privileged", "warn": "privileged", "audit": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": wanted.namespace,
            "labels": {f"{_POD_SECURITY}/{mode}": level for mode, level in labels.items()},
        },
    }


def service_account(wanted: Installation) -> Manifest:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(wanted)}


def service(wanted: Installation) -> Manifest:
    """Where the API server asks about pods and requests."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": WEBHOOK, "namespace": wanted.namespace},
        "spec": {"selector": _LABELS, "ports": [{"port": 443, "targetPort": "webhook"}]},
    }


def deployment(wanted: Installation) -> Manifest:
    """One of it: two at once would undo each other's work."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(wanted), "labels": _LABELS},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": _pod(wanted)},
        },
    }


def _metadata(wanted: Installation) -> Manifest:
    return {"name": OPERATOR, "namespace": wanted.namespace}


def _pod(wanted: Installation) -> Manifest:
    return {
        "serviceAccountName": OPERATOR,
        "imagePullSecrets": [{"name": "memverge-dockerconfig"}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(wanted)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _container(wanted: Installation) -> Manifest:
    answers = {"httpGet": {"path": "/healthz", "port": "health"}}
    return {
        "name": "operator",
        "image": wanted.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "mmsnap_operator", "run"],
        "args": [
            "--kubelet-folder", wanted.kubelet_folder,
            "--nri-folder", wanted.nri_folder,
            "--log-level", wanted.log_level,
        ],
        "env": [
            {
                "name": "POD_NAMESPACE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            }
        ],
        "ports": [
            {"name": "health", "containerPort": 8080},
            {"name": "webhook", "containerPort": 9443},
        ],
        "livenessProbe": {
            **answers,
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "failureThreshold": 6,
        },
        "readinessProbe": {**answers, "periodSeconds": 5},
        "resources": wanted.resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }  # fmt: skip
