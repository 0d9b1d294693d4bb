"""A pod that clears one node after its agent is gone; it says in its last words what was kept."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Final

from mmsnap_operator.deployment.context import PULL_POLICY, Context, Manifest
from mmsnap_operator.names import AGENTS, CLEARING

COMPONENT: Final = "clearing"
_DEADLINE_SECONDS: Final = 120
_KUBELET: Final = "/kubelet"
_HOST: Final = "/host"  # the folder above, so that the folder itself can be removed


def pod(context: Context, image: str, shared_folder: str, node: str) -> Manifest:
    """Bound to its node, whatever taints that has."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": context.metadata(f"{CLEARING}-{_short(node)}", COMPONENT),
        "spec": context.pod_spec(
            {
                "nodeName": node,
                "tolerations": [{"operator": "Exists"}],
                "restartPolicy": "Never",
                "serviceAccountName": AGENTS,
                "automountServiceAccountToken": False,
                "activeDeadlineSeconds": _DEADLINE_SECONDS,
                "terminationGracePeriodSeconds": 5,
                "containers": [_container(image, shared_folder)],
                "volumes": [
                    {
                        "name": "shared",
                        "hostPath": {"path": str(PurePosixPath(shared_folder).parent)},
                    },
                    {"name": "kubelet", "hostPath": {"path": context.kubelet_folder}},
                ],
            }
        ),
    }


def _container(image: str, shared_folder: str) -> Manifest:
    return {
        "name": "clear",
        "image": image,
        "imagePullPolicy": PULL_POLICY,
        "command": ["mmsnap"],
        "args": [
            "node", "clear", "--yes",
            "--mm-data-dir", f"{_HOST}/{PurePosixPath(shared_folder).name}",
            "--kubelet", _KUBELET,
            "--report", "/dev/termination-log",
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [
            {
                "name": "shared",
                "mountPath": _HOST,
                "mountPropagation": "HostToContainer",
            },
            {"name": "kubelet", "mountPath": _KUBELET},
        ],
    }  # fmt: skip


def _short(node: str) -> str:
    """Node names can be as long as pod names may be."""
    return hashlib.sha256(node.encode()).hexdigest()[:12]
