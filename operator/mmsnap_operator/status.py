"""What the status shows besides conditions: the values in force, and what runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap_operator.configuration import Configuration
from mmsnap_operator.health.agents import is_rolling_out, nodes_ready
from mmsnap_operator.health.observed import Observed


def status_of(
    configuration: Configuration, seen: Observed, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of the specification are in force once all agents that are wanted have them."""
    counted = {
        "nodesWanted": len(seen.nodes),
        "nodesReady": nodes_ready(seen),
        "etcdEndpoints": list(configuration.etcd_endpoints),
    }
    if not _in_force(seen):
        return counted
    return {**counted, "image": configuration.image, **_with_removals(configuration, machine)}


def _in_force(seen: Observed) -> bool:
    return seen.daemon_set is not None and nodes_ready(seen) > 0 and not is_rolling_out(seen)


def _with_removals(configuration: Configuration, machine: Mapping[str, Any]) -> dict[str, Any]:
    """As a merge patch: what was shown and is no more is None."""
    before = machine.get("status") or {}
    now = configuration.mirrored()
    for name, values in now.items():
        if isinstance(values, dict):
            gone = (before.get(name) or {}).keys() - values.keys()
            values.update(dict.fromkeys(gone))
    return now
