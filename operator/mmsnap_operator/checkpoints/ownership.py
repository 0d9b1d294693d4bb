"""Whose a Checkpoint is: it may only be of a group of its own namespace.

Anybody who may make Checkpoint objects could else name the group of another namespace, and read or
delete what is not his.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap.pods.naming import group_of


def is_own(checkpoint: Mapping[str, Any]) -> bool:
    """Whether its group is that of a workload beside it."""
    workload = (checkpoint["spec"].get("template") or {}).get("name", "")
    group: str = checkpoint["spec"]["group"]
    return bool(workload) and group == group_of(checkpoint["metadata"]["namespace"], workload)
