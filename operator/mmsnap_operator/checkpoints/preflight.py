"""Whether a workload can be checkpointed as it is asked for: all checks, of what is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.checkpoints.wishes import require_possible
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.service.places import AGENT_LABELS
from mmsnap_operator.workloads.agents import check_agents
from mmsnap_operator.workloads.claims import check_claims
from mmsnap_operator.workloads.disruption import IGNORE, check_disruption
from mmsnap_operator.workloads.finding import Finding, Weight, require_none
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
    return check(source, spec, agents, await budgets_of(api, namespace, spec))


async def require_harmless(api: Api, source: Source, spec: Manifest) -> None:
    """The part of it that the agents do not look at; Refused, ApiError."""
    require_none(_check_harm(source, spec, await budgets_of(api, source.namespace, spec)))


async def budgets_of(api: Api, namespace: str, spec: Manifest) -> Sequence[Manifest]:
    """The PodDisruptionBudgets that a request does not ignore; ApiError."""
    if spec.get("disruptionBudgets") == IGNORE:
        return ()
    return await api.list(kinds.DISRUPTION_BUDGET, namespace)


async def agents_of(api: Api, operator_namespace: str) -> Sequence[Manifest]:
    """The pods of the agents; ApiError."""
    return await api.list(kinds.POD, operator_namespace, AGENT_LABELS)


def check(
    source: Source, spec: Manifest, agents: Sequence[Manifest], budgets: Sequence[Manifest]
) -> Sequence[Finding]:
    """The same of what was read, when the source has members."""
    return [
        *_check_wishes(source, spec),
        *check_agents(source.pods, agents),
        *_check_harm(source, spec, budgets),
        *check_probes(source.pods, _longest_ms(spec)),
    ]


def _check_harm(source: Source, spec: Manifest, budgets: Sequence[Manifest]) -> list[Finding]:
    return [
        *check_claims(source.pods, ignored=spec.get("volumes") == IGNORE),
        *check_disruption(source.pods, budgets, pause_of(_longest_ms(spec))),
    ]


def _longest_ms(spec: Manifest) -> int | None:
    """The pause that is allowed; 0 is no limit."""
    return spec.get("maxPauseMilliseconds") or None


def _check_wishes(source: Source, spec: Manifest) -> list[Finding]:
    """A bare program may attach by itself, and is of another engine then: only its agent knows."""
    sure = [one for one in source.members if one.engine == "memory" or one.profile]
    try:
        require_possible(spec, sure)
    except Refused as refused:
        return [Finding.of(refused)]
    try:
        require_possible({**spec, "consistency": "Crash"}, source.members)
    except Refused as refused:
        message = f"{refused.message}. It fails, unless the program attaches by itself"
        return [Finding(refused.reason, message, Weight.WARNING)]
    return []
