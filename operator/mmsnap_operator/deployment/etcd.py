"""etcd, where the catalog is: a StatefulSet with a volume each, spoken to over mutual TLS.

Its flags need no shell, so that any image with etcd in it will do. A member that starts again finds
its data and ignores that the cluster is called new.
"""

from __future__ import annotations

from typing import Any, Final

from mmsnap_operator.configuration import Etcd
from mmsnap_operator.deployment.context import Context, Manifest
from mmsnap_operator.names import ETCD, ETCD_SECRET, ETCD_SERVICE

COMPONENT: Final = "etcd"
_DATA: Final = "/var/lib/etcd"
_TLS: Final = "/etc/etcd/tls"
_HEALTH_PORT: Final = 2381  # plain, and tells nothing but health and counts
_VOLUME_SIZE: Final = "1Gi"


def service(context: Context, etcd: Etcd) -> Manifest:
    """The name that members and agents find each member by, ready or not."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata(ETCD_SERVICE, COMPONENT),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": context.selector(COMPONENT),
            "ports": [
                {"name": "client", "port": etcd.client_port, "targetPort": etcd.client_port},
                {"name": "peer", "port": etcd.peer_port, "targetPort": etcd.peer_port},
            ],
        },
    }


def disruption_budget(context: Context) -> Manifest:
    """Drains take one member at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": context.metadata(ETCD, COMPONENT),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": context.selector(COMPONENT)},
        },
    }


def service_account(context: Context) -> Manifest:
    """An account that may do nothing."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": context.metadata(ETCD, COMPONENT),
        "automountServiceAccountToken": False,
    }


def stateful_set(context: Context, etcd: Etcd) -> Manifest:
    """The members. All start at once: none is ready before a majority runs."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": context.metadata(ETCD, COMPONENT),
        "spec": {
            "serviceName": ETCD_SERVICE,
            "replicas": etcd.replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": context.selector(COMPONENT)},
            # Retained checkpoints are in the catalog; who deletes the MemoryMachine decides then.
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            "template": {
                "metadata": {"labels": context.labels(COMPONENT)},
                "spec": context.pod_spec(_pod(context, etcd)),
            },
            "volumeClaimTemplates": [_claim(context, etcd)],
        },
    }


def _claim(context: Context, etcd: Etcd) -> Manifest:
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": _VOLUME_SIZE}},
    }
    if etcd.storage_class:
        spec["storageClassName"] = etcd.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "labels": context.selector(COMPONENT)},
        "spec": spec,
    }


def _pod(context: Context, etcd: Etcd) -> Manifest:
    return {
        "serviceAccountName": ETCD,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "affinity": _apart(context),
        "containers": [_container(context, etcd)],
        "volumes": [{"name": "tls", "secret": {"secretName": ETCD_SECRET, "defaultMode": 0o400}}],
    }


def _apart(context: Context) -> Manifest:
    """On different nodes where there are enough."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": context.selector(COMPONENT)},
    }
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "podAffinityTerm": term}
            ]
        }
    }


def _container(context: Context, etcd: Etcd) -> Manifest:
    probe = {"httpGet": {"path": "/health", "port": _HEALTH_PORT}}
    return {
        "name": "etcd",
        "image": etcd.image,
        "command": ["etcd", *_flags(context, etcd)],
        "env": [_from_field("POD_NAME", "metadata.name")],
        "ports": [
            {"name": "client", "containerPort": etcd.client_port},
            {"name": "peer", "containerPort": etcd.peer_port},
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": {
            "tcpSocket": {"port": _HEALTH_PORT},
            "periodSeconds": 2,
            "failureThreshold": 150,
        },
        "readinessProbe": {**probe, "periodSeconds": 5, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "50m", "memory": "100Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "tls", "mountPath": _TLS, "readOnly": True},
        ],
    }


def _flags(context: Context, etcd: Etcd) -> list[str]:
    me = f"$(POD_NAME).{ETCD_SERVICE}.{context.namespace}.svc"
    members = [
        f"{ETCD}-{number}=https://{host}:{etcd.peer_port}"
        for number, host in enumerate(etcd.members(context.namespace))
    ]
    options = {
        "name": "$(POD_NAME)",
        "data-dir": f"{_DATA}/data",  # a folder of its own: only its owner may look into it
        "listen-client-urls": f"https://0.0.0.0:{etcd.client_port}",
        "advertise-client-urls": f"https://{me}:{etcd.client_port}",
        "listen-peer-urls": f"https://0.0.0.0:{etcd.peer_port}",
        "initial-advertise-peer-urls": f"https://{me}:{etcd.peer_port}",
        "listen-metrics-urls": f"http://0.0.0.0:{_HEALTH_PORT}",
        "initial-cluster": ",".join(members),
        "initial-cluster-token": f"{context.namespace}-{context.name}",
        "initial-cluster-state": "new",
        "heartbeat-interval": str(etcd.heartbeat_ms),
        "election-timeout": str(etcd.election_ms),
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "client-cert-auth": "true",
        "trusted-ca-file": f"{_TLS}/ca.crt",
        "cert-file": f"{_TLS}/tls.crt",
        "key-file": f"{_TLS}/tls.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": f"{_TLS}/ca.crt",
        "peer-cert-file": f"{_TLS}/tls.crt",
        "peer-key-file": f"{_TLS}/tls.key",
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
