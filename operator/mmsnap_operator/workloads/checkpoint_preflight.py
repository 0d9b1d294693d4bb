"""Whether a workload can be checkpointed as it is asked for: all checks, of what is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.deployment.agents import COMPONENT as AGENT_COMPONENT
from mmsnap_operator.names import COMPONENT_LABEL
from mmsnap_operator.workloads import sources
from mmsnap_operator.workloads.agents import check_agents
from mmsnap_operator.workloads.capture import (
    KUBELET,
    check_captured,
    check_engine,
    check_one_group,
    check_profile,
    check_running,
)
from mmsnap_operator.workloads.claims import check_claims
from mmsnap_operator.workloads.disruption import IGNORE, check_disruption
from mmsnap_operator.workloads.finding import Finding
from mmsnap_operator.workloads.probes import check_probes, pause_of

Manifest = Mapping[str, Any]


async def examine(
    api: Api, namespace: str, spec: Manifest, operator_namespace: str
) -> Sequence[Finding]:
    """What stands against the `spec` of a CheckpointRequest in this namespace; ApiError."""
    source = await sources.find(api, namespace, spec.get("source") or {})
    if source.findings:
        return source.findings
    agents = await agents_of(api, operator_namespace)
    budgets = await api.list(kinds.DISRUPTION_BUDGET, namespace)
    return check(source.pods, spec, agents, budgets)


async def agents_of(api: Api, operator_namespace: str) -> Sequence[Manifest]:
    """The pods of the agents; ApiError."""
    return await api.list(kinds.POD, operator_namespace, {COMPONENT_LABEL: AGENT_COMPONENT})


def check(
    pods: Sequence[Manifest],
    spec: Manifest,
    agents: Sequence[Manifest],
    budgets: Sequence[Manifest],
) -> Sequence[Finding]:
    """The same of what was read; of pods that are not captured, nothing else is said."""
    engine = spec.get("engine")
    strangers = [] if engine == KUBELET else check_captured(pods)
    if strangers:
        return strangers
    # 0 is no limit.
    pause_ms = spec.get("maxPauseMilliseconds") or None
    ignored = spec.get("disruptionBudgets") == IGNORE
    return [
        *check_one_group(pods),
        *check_running(pods),
        *check_engine(pods, engine),
        *check_profile(pods, spec.get("profile")),
        *check_claims(pods, ignored=spec.get("volumes") == IGNORE),
        *check_agents(pods, agents),
        *([] if ignored else check_disruption(pods, budgets, pause_of(pause_ms))),
        *check_probes(pods, pause_ms),
    ]
