"""Whether every member's node has an agent that serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.health.pods import is_ready
from mmsnap_operator.workloads.finding import Finding, Weight, named

Manifest = Mapping[str, Any]


def check_agents(pods: Sequence[Manifest], agents: Sequence[Manifest]) -> list[Finding]:
    """Pods that are on no node yet are not looked at."""
    serving = {agent["spec"].get("nodeName") for agent in agents if is_ready(agent)}
    alone: dict[str, list[str]] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if node and node not in serving:
            alone.setdefault(node, []).append(pod["metadata"]["name"])
    return [
        Finding(
            "NoAgent",
            f"no agent is ready on node {node}, where {named(names)} "
            f"{'is' if len(names) == 1 else 'are'}: kubectl get memorymachines -A tells why, and "
            f"a node without the label storage=pmem has none",
            Weight.PASSING,
        )
        for node, names in alone.items()
    ]
