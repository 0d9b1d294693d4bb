"""Whether a workload can be checkpointed as it is asked for: all checks, of what is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.deployment.agents import COMPONENT as AGENT_COMPONENT
from mmsnap_operator.names import COMPONENT_LABEL
from mmsnap_operator.workloads.agents import check_agents
from mmsnap_operator.workloads.capture import check_engine, check_profile
from mmsnap_operator.workloads.claims import check_claims
from mmsnap_operator.workloads.disruption import IGNORE, check_disruption
from mmsnap_operator.workloads.finding import Finding
from mmsnap_operator.workloads.probes import check_probes, pause_of
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.source import Source, find_source, require_members

Manifest = Mapping[str, Any]


async def examine(
    api: Api, namespace: str, spec: Manifest, operator_namespace: str
) -> Sequence[Finding]:
    """What stands against the `spec` of a CheckpointRequest in this namespace; ApiError."""
    try:
        source = await find_source(api, namespace, spec["source"])
        require_members(source)
    except Refused as refused:
        return [Finding.of(refused)]
    agents = await agents_of(api, operator_namespace)
    budgets = await api.list(kinds.DISRUPTION_BUDGET, namespace)
    return check(source, spec, agents, budgets)


async def agents_of(api: Api, operator_namespace: str) -> Sequence[Manifest]:
    """The pods of the agents; ApiError."""
    return await api.list(kinds.POD, operator_namespace, {COMPONENT_LABEL: AGENT_COMPONENT})


def check(
    source: Source, spec: Manifest, agents: Sequence[Manifest], budgets: Sequence[Manifest]
) -> Sequence[Finding]:
    """The same of what was read, when the source has members."""
    pods, members = source.pods, source.members
    # 0 is no limit.
    longest_ms = spec.get("maxPauseMilliseconds") or None
    ignored = spec.get("disruptionBudgets") == IGNORE
    return [
        *check_engine(members, spec.get("engine")),
        *check_profile(members, spec.get("profile")),
        *check_claims(pods, ignored=spec.get("volumes") == IGNORE),
        *check_agents(pods, agents),
        *([] if ignored else check_disruption(pods, budgets, pause_of(longest_ms))),
        *check_probes(pods, longest_ms),
    ]
