"""A pod that clears one node after its agent is gone; it says in its last words what was kept."""

from __future__ import annotations

import hashlib
from typing import Final

from mmsnap_operator.deployment.context import Context, Manifest
from mmsnap_operator.names import CLEARING

COMPONENT: Final = "clearing"
_DEADLINE_SECONDS: Final = 120


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
                "automountServiceAccountToken": False,
                "activeDeadlineSeconds": _DEADLINE_SECONDS,
                "terminationGracePeriodSeconds": 5,
                "containers": [_container(image, shared_folder)],
                "volumes": [
                    {
                        "name": "shared",
                        "hostPath": {"path": shared_folder, "type": "DirectoryOrCreate"},
                    }
                ],
            }
        ),
    }


def _container(image: str, shared_folder: str) -> Manifest:
    return {
        "name": "clear",
        "image": image,
        "command": ["mmsnap"],
        "args": [
            "node", "clear", "--yes", "--mm-data-dir", shared_folder,
            "--report", "/dev/termination-log",
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"privileged": True, "runAsUser": 0},
        "volumeMounts": [
            {
                "name": "shared",
                "mountPath": shared_folder,
                "mountPropagation": "Bidirectional",
            }
        ],
    }  # fmt: skip


def _short(node: str) -> str:
    """Node names can be as long as pod names may be."""
    return hashlib.sha256(node.encode()).hexdigest()[:12]
