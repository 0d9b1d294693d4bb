"""The agents: one pod on each labelled node, that is root there.

Before an agent starts, an init container looks at the node (`mmsnap node check`), so that what is
missing is told in words a person can act on, not by an agent that does not start.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from mmsnap_operator.configuration import Configuration
from mmsnap_operator.deployment.context import PULL_POLICY, Context, Manifest
from mmsnap_operator.names import (
    AGENTS,
    CONFIGURATION,
    CSI_DRIVER,
    NODE_LABEL,
    NODES_SECRET,
    TEMPLATE_HASH,
)

COMPONENT: Final = "agent"
CHECK: Final = "check-node"
AGENT: Final = "agent"
_VOLUME_PROFILE: Final = "security.openshift.io/csi-ephemeral-volume-profile"
_TLS: Final = "/etc/mmsnap/tls"
_SETTINGS: Final = "/etc/mmsnap/config"
OPERATOR_CLIENT: Final = "memory-machine-operator"


def settings(context: Context, configuration: Configuration) -> Manifest:
    """What is in force, for people; and for the agents, who may do what."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": context.metadata(CONFIGURATION, COMPONENT),
        "data": {
            "configuration.json": json.dumps(configuration.values, indent=2, sort_keys=True),
            "roles.toml": f'[roles]\n{OPERATOR_CLIENT} = "admin"\n',
        },
    }


def service_account(context: Context) -> Manifest:
    """An account that may do nothing: agents never speak with the API server."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": context.metadata(AGENTS, COMPONENT),
        "automountServiceAccountToken": False,
    }


def csi_driver(context: Context) -> Manifest:
    """Tells the kubelet how to use the volumes that agents serve to pods.

    OpenShift lets pods of the restricted standard have such a volume by a label only.
    """
    metadata = context.cluster_metadata(CSI_DRIVER, COMPONENT)
    metadata["labels"] |= {_VOLUME_PROFILE: "restricted"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": metadata,
        "spec": {
            "attachRequired": False,
            "podInfoOnMount": True,
            "fsGroupPolicy": "None",
            "volumeLifecycleModes": ["Ephemeral"],
        },
    }


def daemon_set(context: Context, configuration: Configuration) -> Manifest:
    """The agents. Another template, another hash: that is what rolls a change out."""
    template: Manifest = {
        "metadata": {"labels": context.labels(COMPONENT), "annotations": {}},
        "spec": context.pod_spec(_pod(context, configuration)),
    }
    template["metadata"]["annotations"][TEMPLATE_HASH] = _hash(template)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": context.metadata(AGENTS, COMPONENT),
        "spec": {
            "selector": {"matchLabels": context.selector(COMPONENT)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": template,
        },
    }


def _hash(template: Manifest) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]


def _pod(context: Context, configuration: Configuration) -> Manifest:
    return {
        "serviceAccountName": AGENTS,
        "automountServiceAccountToken": False,
        "nodeSelector": NODE_LABEL,
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "system-node-critical",
        "hostPID": True,
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "terminationGracePeriodSeconds": 30,
        "initContainers": [_check(configuration)],
        "containers": [_agent(context, configuration)],
        "volumes": _volumes(context, configuration),
    }


def _check(configuration: Configuration) -> Manifest:
    emulated = ["--pmem-emulation"] if configuration.pmem_emulation else []
    return {
        "name": CHECK,
        "image": configuration.image,
        "imagePullPolicy": PULL_POLICY,
        "command": ["mmsnap"],
        "args": [
            "node",
            "check",
            "--mm-data-dir",
            configuration.shared_folder,
            *emulated,
            "--report",
            "/dev/termination-log",
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [
            {
                "name": "shared",
                "mountPath": configuration.shared_folder,
                "mountPropagation": "HostToContainer",
            }
        ],
    }


def _agent(context: Context, configuration: Configuration) -> Manifest:
    folder = configuration.shared_folder
    return {
        "name": AGENT,
        "image": configuration.image,
        "imagePullPolicy": PULL_POLICY,
        "command": ["mmsnap"],
        "args": ["agent", *_arguments(context, configuration)],
        "env": [
            _from_field("NODE_NAME", "spec.nodeName"),
            _from_field("HOST_IP", "status.hostIP"),
            {"name": "MMSNAP_ADDRESS", "value": f"unix://{folder}/agent.sock"},
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "readinessProbe": _readiness(configuration),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [
            {"name": "shared", "mountPath": folder, "mountPropagation": "Bidirectional"},
            {
                "name": "kubelet",
                "mountPath": context.kubelet_folder,
                "mountPropagation": "Bidirectional",
            },
            {"name": "nri", "mountPath": "/var/run/nri"},
            {"name": "cgroup", "mountPath": "/sys/fs/cgroup"},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "tls", "mountPath": _TLS, "readOnly": True},
            {"name": "settings", "mountPath": _SETTINGS, "readOnly": True},
        ],
    }


def _arguments(context: Context, configuration: Configuration) -> list[str]:
    folder = configuration.shared_folder
    options = [
        ("pool", f"{folder}/pool"),
        ("address", f"unix://{folder}/agent.sock"),
        ("node", "$(NODE_NAME)"),
        ("listen", f"$(HOST_IP):{configuration.rpc_port}"),
        *(("etcd", endpoint) for endpoint in configuration.etcd_endpoints),
        ("tls", _TLS),
        ("kubelet", context.kubelet_folder),
        ("roles", f"{_SETTINGS}/roles.toml"),
        ("replicas", str(configuration.replicas)),
        ("log-format", "json"),
        ("log-level", configuration.log_level),
    ]
    if configuration.etcd is not None:
        options.append(("etcd-tls", _TLS))
    if configuration.metrics is not None:
        host = configuration.metrics.host or "$(HOST_IP)"
        options.append(("metrics", f"{host}:{configuration.metrics.port}"))
    return [*(f"--{name}={value}" for name, value in options), "--pods"]


def _readiness(configuration: Configuration) -> Manifest:
    """Through the kubelet, which has the node's network too."""
    pace = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3}
    if configuration.metrics is None:
        return {"tcpSocket": {"port": configuration.rpc_port}, **pace}
    asked: dict[str, Any] = {"path": "/metrics", "port": configuration.metrics.port}
    if configuration.metrics.host:
        asked["host"] = configuration.metrics.host
    return {"httpGet": asked, **pace}


def _volumes(context: Context, configuration: Configuration) -> list[Manifest]:
    def host(name: str, path: str, kind: str = "Directory") -> Manifest:
        return {"name": name, "hostPath": {"path": path, "type": kind}}

    return [
        # Made where it is missing, so that the check can say that the node was not prepared.
        host("shared", configuration.shared_folder, "DirectoryOrCreate"),
        host("kubelet", context.kubelet_folder),
        host("nri", context.nri_folder, "DirectoryOrCreate"),
        host("cgroup", "/sys/fs/cgroup"),
        host("shm", "/dev/shm"),
        {"name": "tls", "secret": {"secretName": NODES_SECRET, "defaultMode": 0o400}},
        {"name": "settings", "configMap": {"name": CONFIGURATION}},
    ]


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
