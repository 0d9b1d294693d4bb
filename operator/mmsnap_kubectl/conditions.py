"""What an object says of itself in its conditions: how it ended, and what it does until then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.errors import (
    AbortedError,
    AgentUnavailableError,
    CorruptionError,
    MmsnapError,
    NotFoundError,
    PauseExceededError,
    QuiesceTimeoutError,
)

Manifest = Mapping[str, Any]

# The operator's reasons are the errors' names without `Error`; others are failures like any.
_OF_REASONS: Final[Mapping[str, type[MmsnapError]]] = {
    "BytesGone": NotFoundError,
    "CheckpointDeleted": NotFoundError,
    "CheckpointNotFound": NotFoundError,
    "Corrupt": CorruptionError,
    "NoReadyCheckpoint": NotFoundError,
    "ScheduleNotFound": NotFoundError,
    "WorkloadNotFound": NotFoundError,
    **{
        kind.__name__.removesuffix("Error"): kind
        for kind in (
            AbortedError,
            AgentUnavailableError,
            CorruptionError,
            NotFoundError,
            PauseExceededError,
            QuiesceTimeoutError,
        )
    },
}


# Why a Checkpoint is not Ready, and will never be again.
_LOST: Final = frozenset({"BytesGone", "Corrupt"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `status` is "True", "False" or "Unknown"."""

    kind: str
    status: str
    reason: str
    message: str
    since: str

    @property
    def holds(self) -> bool:
        return self.status == "True"


def conditions_of(seen: Manifest) -> dict[str, Condition]:
    """By their type."""
    told = (seen.get("status") or {}).get("conditions") or []
    return {
        one["type"]: Condition(
            one["type"],
            one["status"],
            one.get("reason", ""),
            one.get("message", ""),
            one.get("lastTransitionTime", ""),
        )
        for one in told
    }


def failure_of(seen: Manifest) -> Condition | None:
    """Why a request failed, or a Checkpoint was lost; None: it did not, or not yet."""
    told = conditions_of(seen)
    ready = told.get("Ready")
    if ready is not None and not ready.holds and ready.reason in _LOST:
        return ready
    failed = told.get("Failed")
    if failed is not None and failed.holds:
        return failed
    complete = told.get("Complete")
    is_over = bool((seen.get("status") or {}).get("completionTime"))
    return complete if complete is not None and is_over and not complete.holds else None


def has_ended(seen: Manifest, condition: str) -> bool:
    """Whether this condition holds.

    Raises:
        MmsnapError: it failed, and will never hold; says why.
    """
    failure = failure_of(seen)
    if failure is not None:
        raise error_of(seen, failure)
    found = conditions_of(seen).get(condition)
    return found is not None and found.holds


def error_of(seen: Manifest, condition: Condition) -> MmsnapError:
    """The error that a condition tells of."""
    subject = f"{seen['kind']} {seen['metadata']['name']}"
    kind = _OF_REASONS.get(condition.reason, MmsnapError)
    return kind(
        f"{subject} failed: {condition.message or condition.reason} ({condition.reason})",
        subject=subject,
        hint=f"kubectl mmsnap describe {seen['kind'].lower()}/{seen['metadata']['name']} "
        f"-n {seen['metadata']['namespace']} shows all of it",
    )


def state_of(seen: Manifest, condition: str) -> str:
    """In a word or two, for a table: the condition, else why not."""
    failure = failure_of(seen)
    if failure is not None:
        return f"Failed: {failure.reason}"
    found = conditions_of(seen).get(condition)
    if found is None:
        return "Pending"
    return condition if found.holds else found.reason


def step_of(seen: Manifest) -> str:
    """What is under way, in words; empty: nothing was said yet."""
    status = seen.get("status") or {}
    step: str = status.get("step") or ""
    awaited = status.get("awaited") or []
    if step:
        return f"{step}: {', '.join(awaited)}" if awaited else step
    told = [one for one in conditions_of(seen).values() if not one.holds and one.message]
    return max(told, key=lambda one: one.since).message if told else ""
