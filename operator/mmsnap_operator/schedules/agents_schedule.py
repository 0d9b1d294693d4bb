"""What the agents are told of a CheckpointSchedule that they keep, and what they say: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from mmsnap.retention import KEEP_LAST_BY_DEFAULT
from mmsnap_operator.checkpoints.wishes import is_consistent_enough, replicas_of
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.requests.ending import as_text
from mmsnap_operator.schedules.timing import Interval, duration_of
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.checkpoint import Durability
from mmsnap_sdk.service_records import GroupCheckpoint, Schedule

_TIMEOUT_MAX_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the agents are to keep; its fields are arguments of `Client.set_schedule`."""

    every: timedelta
    keep_last: int | None
    keep_within: timedelta | None
    wait: Durability
    timeout: timedelta
    max_pause: timedelta | None
    replicas: int
    suspended: bool
    labels: Mapping[str, str] = field(default_factory=dict)

    def is_kept(self, found: Schedule) -> bool:
        """Whether the agents have it so. Where nothing is asked, copies are theirs to decide."""
        same = all(
            getattr(found, name) == getattr(self, name)
            for name in ("every", "keep_last", "keep_within", "wait", "timeout", "max_pause")
        )
        enough = not self.replicas or found.replicas == self.replicas
        return (
            same
            and enough
            and found.suspended == self.suspended
            and dict(found.labels) == dict(self.labels)
        )


def wanted_of(spec: Mapping[str, Any], key: str, timing: Interval, *, suspended: bool) -> Wanted:
    """For this specification; `key`: NAMESPACE.NAME. Refused."""
    retention = spec.get("retention") or {}
    asked = spec["template"]["spec"]
    keep_last = retention.get("keepLast")
    within = retention.get("keepWithin")
    if not keep_last and not within:
        keep_last = KEEP_LAST_BY_DEFAULT
    pause = asked.get("maxPauseMilliseconds", 0)
    durability = asked.get("durability", "Captured").lower()
    seconds = min(asked.get("timeoutSeconds", 60), _TIMEOUT_MAX_SECONDS)
    return Wanted(
        every=timing.every,
        keep_last=keep_last or None,
        keep_within=duration_of(within) if within else None,
        wait=durability,
        timeout=timedelta(seconds=seconds),
        max_pause=timedelta(milliseconds=pause) if pause else None,
        replicas=replicas_of({"durability": "Captured", **asked}),
        suspended=suspended,
        labels={SCHEDULE_LABEL: key},
    )


def require_ours(found: Sequence[Schedule], key: str, group: str) -> None:
    """Refused when somebody else keeps the group's schedule."""
    for each in found:
        other = each.labels.get(SCHEDULE_LABEL, "")
        if other != key:
            whose = f"CheckpointSchedule {other.partition('.')[2]}" if other else "somebody by hand"
            raise Refused(
                "GroupTaken",
                f"group {group} has a schedule already, of {whose}: a group has one under a "
                "minute (mmsnap schedule off ends one that was set by hand)",
                lasting=False,
            )


def fields_of(found: Schedule, count: int) -> dict[str, Any]:
    """Of the status."""
    fields: dict[str, Any] = {
        "consecutiveFailures": found.consecutive_failures,
        "checkpointCount": count,
    }
    if found.last_success is not None:
        fields["lastCheckpointName"] = found.last_checkpoint
        fields["lastSuccessTime"] = as_text(found.last_success)
    return fields


def condition_of(
    found: Schedule, asked: Mapping[str, Any], newest: GroupCheckpoint | None, why: str
) -> Condition:
    """How it goes; `why`: for what it is suspended."""
    if found.suspended:
        return Condition("Ready", True, "Suspended", why)
    if found.waiting:
        return Condition("Ready", True, "Restoring", "a restore of the group waits for programs")
    if found.consecutive_failures:
        words = f"{found.consecutive_failures} in a row failed, the last one: {found.last_error}"
        return Condition("Ready", False, "Failing", words)
    if newest is not None and not is_consistent_enough(asked, newest.consistency):
        words = f"checkpoint {newest.name} is of consistency {newest.consistency.capitalize()}"
        return Condition("Ready", False, "ConsistencyUnmet", words)
    if newest is None:
        return Condition("Ready", True, "Scheduled", "the first one is not due yet")
    return Condition("Ready", True, "Running", f"kept by the agents, at node {found.node or '?'}")
