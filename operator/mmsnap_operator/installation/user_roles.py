"""What people may do with mmsnap's objects: three roles, each with what the one before it may.

They are part of the roles `view`, `edit` and `admin` that every cluster has, so who works in a
namespace already may use mmsnap there; and they can be bound alone. None of them makes Checkpoints:
the operator does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mmsnap_operator.names import AGENTS, GROUP, PLURAL

Manifest = dict[str, Any]

_ASKING: Final = ["checkpointrequests", "checkpointschedules", "restorerequests"]
_READ: Final = ["get", "list", "watch"]
_CHANGE: Final = ["create", "update", "patch", "delete", "deletecollection"]


def user_roles() -> Sequence[Manifest]:
    """Viewer, editor and admin."""
    viewer = [_rule([*_ASKING, "checkpoints", PLURAL], _READ)]
    editor = [*viewer, _rule(_ASKING, _CHANGE), _rule(["checkpoints"], ["delete"])]
    # Whom a checkpoint is shared with, and whether its bytes outlive it, an admin says; and what
    # runs as root on the nodes, one of the operator's namespace.
    admin = [
        *editor,
        _rule(["checkpoints"], ["update", "patch", "deletecollection"]),
        _rule([PLURAL], _CHANGE),
    ]
    return [
        _role("viewer", "view", viewer),
        _role("editor", "edit", editor),
        _role("admin", "admin", admin),
    ]


def _rule(resources: Sequence[str], verbs: Sequence[str]) -> Manifest:
    return {"apiGroups": [GROUP], "resources": list(resources), "verbs": list(verbs)}


def _role(name: str, part_of: str, rules: Sequence[Manifest]) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": f"{AGENTS}-{name}",
            "labels": {f"rbac.authorization.k8s.io/aggregate-to-{part_of}": "true"},
        },
        "rules": list(rules),
    }
