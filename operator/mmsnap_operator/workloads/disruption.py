"""PodDisruptionBudgets, and what a freeze takes of them.

A freeze is a disruption of every pod of the group that would lose its readiness by it: that has a
readiness or liveness probe which the longest pause that the request allows may fail (`probes`). All
of them at once, for a group stands still as one. A pod without such probes stays ready and does not
count, and neither does one that is not ready anyway. To be recreated is a disruption of every pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.health.pods import is_ready
from mmsnap_operator.workloads.finding import Finding, Weight, named
from mmsnap_operator.workloads.probes import loses_readiness
from mmsnap_operator.workloads.selectors import matches

Manifest = Mapping[str, Any]

IGNORE: Final = "Ignore"


def check_disruption(
    pods: Sequence[Manifest], budgets: Sequence[Manifest], pause_ms: int
) -> list[Finding]:
    """Of the namespace's budgets, those that a pause of all these pods would break."""
    lost = [pod for pod in pods if is_ready(pod) and loses_readiness(pod, pause_ms)]
    return [
        _broken(
            budget,
            f"a pause of {pause_ms} ms is longer than probes of {_names(theirs)} bear, so "
            f"{_pods(theirs)} would not be ready at once",
            "lower maxPauseMilliseconds, give the probes more time, or say disruptionBudgets: "
            "Ignore",
        )
        for budget, theirs in _overdrawn(budgets, lost)
    ]


def check_replacement(pods: Sequence[Manifest], budgets: Sequence[Manifest]) -> list[Finding]:
    """The same where all these pods are taken away, to be made anew."""
    ready = [pod for pod in pods if is_ready(pod)]
    return [
        _broken(
            budget,
            f"recreation takes {_pods(theirs)} away at once ({_names(theirs)})",
            "say disruptionBudgets: Ignore, or restore in place",
        )
        for budget, theirs in _overdrawn(budgets, ready)
    ]


def _overdrawn(
    budgets: Sequence[Manifest], lost: Sequence[Manifest]
) -> Iterator[tuple[Manifest, Sequence[Manifest]]]:
    for budget in budgets:
        theirs = [pod for pod in lost if _covers(budget, pod)]
        if len(theirs) > _allowed(budget):
            yield budget, theirs


def _broken(budget: Manifest, words: str, remedy: str) -> Finding:
    name = budget["metadata"]["name"]
    return Finding(
        "DisruptionBudget",
        f"{words}, and PodDisruptionBudget {name} allows {_allowed(budget)} now: {remedy}",
        Weight.PASSING,
    )


def _names(pods: Sequence[Manifest]) -> str:
    return named(pod["metadata"]["name"] for pod in pods)


def _pods(pods: Sequence[Manifest]) -> str:
    return f"{len(pods)} pod{'s' if len(pods) > 1 else ''}"


def _covers(budget: Manifest, pod: Manifest) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and matches(selector, pod["metadata"].get("labels") or {})


def _allowed(budget: Manifest) -> int:
    """None while its status is of an older specification, as for an eviction."""
    status = budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        return 0
    return int(status.get("disruptionsAllowed") or 0)
