"""Whether pods that wait for each other can come up at all.

A member is let go when its whole group is there. Where a set makes its second pod only after the
first is ready, and ready means that its program answers, the two wait for each other for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.workloads.finding import Finding

_PARALLEL: Final = "Parallel"
_AWAITED: Final = ("readinessProbe", "startupProbe")


def check_ordering(workload: Mapping[str, Any]) -> list[Finding]:
    """Of a set that is to be made anew, or made larger again from nothing."""
    spec = workload["spec"]
    ordered = workload["kind"] == "StatefulSet" and spec.get("podManagementPolicy") != _PARALLEL
    if not ordered or spec.get("replicas", 1) < 2:
        return []
    asked = [
        f"{kind} of container {container['name']}"
        for container in spec["template"]["spec"]["containers"]
        for kind in _AWAITED
        if container.get(kind)
    ]
    if not asked:
        return []
    name = workload["metadata"]["name"]
    return [
        Finding(
            "OrderedReady",
            f"StatefulSet {name} makes its pods one after the other (podManagementPolicy "
            f"OrderedReady), each when the {asked[0]} of the one before succeeds, and no program "
            "of a group goes on before all its pods are there: it would wait for ever. Set "
            "podManagementPolicy: Parallel (in a set that is made anew), or restore in place",
        )
    ]
