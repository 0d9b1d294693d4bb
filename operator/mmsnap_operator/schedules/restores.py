"""Restores that a schedule gives way to: while one is under way, nothing is taken or let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.requests.ending import is_finished

Manifest = Mapping[str, Any]


def restore_under_way(
    requests: Sequence[Manifest], namespace: str, schedule: str, group: str
) -> str:
    """The RestoreRequest that restores the group, or what it has; empty: there is none.

    Args:
        requests: of all namespaces.
        schedule: of this namespace; a restore may name it rather than a checkpoint.
    """
    for one in requests:
        metadata, status = one["metadata"], one.get("status") or {}
        source = one["spec"].get("source") or {}
        home = source.get("namespace") or metadata["namespace"]
        named = (home, source.get("scheduleName")) == (namespace, schedule)
        of_group = group in (status.get("group"), status.get("sourceGroup"))
        if (named or of_group) and not is_finished(one):
            return f"{metadata['namespace']}/{metadata['name']}"
    return ""
