"""Whether every labelled node has an agent that serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.certificates import COMMON_NAME_MAX
from mmsnap_operator.configuration import Configuration
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.health.observed import Observed
from mmsnap_operator.health.pods import Trouble, is_ready, trouble

TYPE: Final = "AgentsReady"
_SHOWN_MAX: Final = 5


def nodes_ready(seen: Observed) -> int:
    """How many agents serve."""
    return sum(map(is_ready, seen.agents))


def agents_condition(configuration: Configuration, seen: Observed) -> Condition:
    """Whether all serve, with the present configuration, and why not."""
    if not seen.nodes:
        return Condition(
            TYPE,
            False,
            "NoLabelledNode",
            "no node has the label storage=pmem: mmsnap node prepare on the node, then "
            "kubectl label node NODE storage=pmem",
        )
    unusable = [name for name in map(_name, seen.nodes) if len(name) > COMMON_NAME_MAX]
    if unusable:
        return Condition(
            TYPE,
            False,
            "NodeNameUnusable",
            f"names of nodes have at most {COMMON_NAME_MAX} characters, as certificates have: "
            f"{', '.join(unusable)}",
        )
    if seen.daemon_set is None:
        return Condition(TYPE, False, "WaitingForEtcd", "agents start when etcd is ready")
    told = f"{nodes_ready(seen)} of {len(seen.nodes)} agents are ready"
    troubles = [found for pod in seen.agents if not is_ready(pod) and (found := trouble(pod))]
    if troubles:
        hint = _about_pull_secret(configuration, seen, troubles)
        return Condition(TYPE, False, troubles[0].reason, f"{told}; {_shown(troubles)}{hint}")
    if is_rolling_out(seen):
        return Condition(TYPE, nodes_ready(seen) > 0, "RollingOut", told)
    if nodes_ready(seen) < len(seen.nodes):
        return Condition(TYPE, False, "Starting", told)
    return Condition(TYPE, True, "Ready", told)


def is_rolling_out(seen: Observed) -> bool:
    """Whether some agent runs with an older configuration."""
    if seen.daemon_set is None:
        return False
    status = seen.daemon_set.get("status", {})
    observed = status.get("observedGeneration", 0)
    wanted: int = status.get("desiredNumberScheduled", 0)
    outdated: bool = observed < seen.daemon_set["metadata"].get("generation", 0)
    updated: int = status.get("updatedNumberScheduled", 0)
    return outdated or updated < wanted


def replicas_condition(configuration: Configuration, seen: Observed) -> Condition:
    """Whether there are nodes enough for the copies that are asked for; never lowered silently."""
    others = max(0, len(seen.nodes) - 1)
    name = "ReplicasPossible"
    if configuration.replicas <= others:
        return Condition(name, True, "EnoughNodes", f"{others} other nodes can have copies")
    return Condition(
        name,
        False,
        "TooFewNodes",
        f"SnapshotReplicas asks for {configuration.replicas + 1} copies of each checkpoint, and "
        f"there are {len(seen.nodes)} nodes: no checkpoint will be replicated. Label more nodes, "
        "or ask for less",
    )


def _about_pull_secret(
    configuration: Configuration, seen: Observed, troubles: Sequence[Trouble]
) -> str:
    pulled = all(found.reason != "ImageNotPulled" for found in troubles)
    if pulled or seen.pull_secret_found is not False:
        return ""
    return f"; the secret {configuration.pull_secret}, to pull it with, is not there"


def _shown(troubles: Sequence[Trouble]) -> str:
    """What is the same on several nodes is said once."""
    wheres: dict[str, list[str]] = {}
    for found in troubles:
        wheres.setdefault(found.words, []).append(found.where)
    parts = [f"{', '.join(sorted(nodes)[:_SHOWN_MAX])}: {words}" for words, nodes in wheres.items()]
    return "; ".join(parts[:_SHOWN_MAX])


def _name(node: Mapping[str, Any]) -> str:
    return str(node["metadata"]["name"])
