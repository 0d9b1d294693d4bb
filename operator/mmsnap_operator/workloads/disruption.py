"""PodDisruptionBudgets, and what a freeze takes of them.

A freeze is a disruption of every pod of the group that would lose its readiness by it: that has a
readiness or liveness probe which the longest pause that the request allows may fail (`probes`). All
of them at once, for a group stands still as one. A pod without such probes stays ready and counts
for nothing, and neither does one that is not ready anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.health.pods import is_ready
from mmsnap_operator.workloads.finding import Finding, Weight, named
from mmsnap_operator.workloads.probes import loses_readiness, pause_of
from mmsnap_operator.workloads.selection import selects

Manifest = Mapping[str, Any]

IGNORE: Final = "Ignore"


def check_disruption(
    pods: Sequence[Manifest],
    budgets: Sequence[Manifest],
    maximum_ms: int | None,
    disruption: str | None,
) -> list[Finding]:
    """Of the namespace's budgets, those that the freeze would break; `Ignore` asks for none."""
    pause_ms = pause_of(maximum_ms)
    lost = [pod for pod in pods if is_ready(pod) and loses_readiness(pod, pause_ms)]
    if not lost or disruption == IGNORE:
        return []
    findings = []
    for budget in budgets:
        theirs = [pod for pod in lost if _covers(budget, pod)]
        allowed = _allowed(budget)
        if len(theirs) > allowed:
            findings.append(_broken(budget, theirs, allowed, pause_ms))
    return findings


def _broken(budget: Manifest, pods: Sequence[Manifest], allowed: int, pause_ms: int) -> Finding:
    names = named(pod["metadata"]["name"] for pod in pods)
    return Finding(
        "DisruptionBudget",
        f"a pause of {pause_ms} ms is longer than probes of {names} bear, so {len(pods)} pods "
        f"would not be ready at once, and PodDisruptionBudget {budget['metadata']['name']} allows "
        f"{allowed} now: lower maxPauseMilliseconds, give the probes more time, or say "
        "disruption: Ignore",
        Weight.PASSING,
    )


def _covers(budget: Manifest, pod: Manifest) -> bool:
    return selects(budget["spec"].get("selector"), pod["metadata"].get("labels") or {})


def _allowed(budget: Manifest) -> int:
    """None while its status is of an older specification, as for an eviction."""
    status = budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        return 0
    return int(status.get("disruptionsAllowed") or 0)
