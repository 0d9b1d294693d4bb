"""Which MemoryMachine is in charge: nodes and ports are the cluster's, so only one can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def in_charge(machines: Sequence[Mapping[str, Any]], namespace: str) -> Mapping[str, Any] | None:
    """The oldest of the operator's namespace, also while it is being deleted.

    What it made is there until it is gone.
    """
    candidates = [one for one in machines if one["metadata"]["namespace"] == namespace]
    return min(candidates, key=_age, default=None)


def full_name(machine: Mapping[str, Any]) -> str:
    """NAMESPACE/NAME."""
    metadata = machine["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"


def _age(machine: Mapping[str, Any]) -> tuple[str, str]:
    return machine["metadata"]["creationTimestamp"], full_name(machine)
