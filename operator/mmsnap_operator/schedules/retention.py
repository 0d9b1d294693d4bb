"""Which Checkpoints of a schedule its retention lets go: the rule of `mmsnap.retention`, pure.

The newest that can be restored stays whatever is asked for, and so does what is pinned. Those that
are less than the schedule asks for, whose requests Failed, are counted by themselves: else they
would take the places of the good ones, as long as it goes wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mmsnap.retention import Retention, prunable
from mmsnap_operator.checkpoints.wishes import is_enough
from mmsnap_operator.requests.ending import condition, instant
from mmsnap_operator.schedules.timing import duration_of

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kept:
    manifest: Manifest
    epoch: int
    pinned: bool
    created: datetime
    ready: bool
    good: bool
    automatic: bool = True


def superfluous(checkpoints: Sequence[Manifest], spec: Manifest, now: datetime) -> list[Manifest]:
    """Those that go, oldest first; `spec`: of the schedule. Refused."""
    retention = _retention(spec.get("retention") or {})
    if retention is None:
        return []
    asked = spec["template"]["spec"]
    kept = [
        _kept(one, asked) for one in checkpoints if not one["metadata"].get("deletionTimestamp")
    ]
    good = [one for one in kept if one.good]
    needed = [max((one.epoch for one in some if one.ready), default=None) for some in (kept, good)]
    gone = [
        one
        for some in (good, [one for one in kept if not one.good])
        for one in prunable(
            some,
            retention,
            age_ns=lambda one: int((now - one.created).total_seconds() * 1e9),
            needed=needed,
        )
    ]
    return [one.manifest for one in sorted(gone, key=lambda one: one.epoch)]


def _retention(spec: Manifest) -> Retention | None:
    keep_last, within = spec.get("keepLast"), spec.get("keepWithin")
    if keep_last is None and within is None:
        return None
    within_ns = None if within is None else int(duration_of(within).total_seconds() * 1e9)
    return Retention(keep_last, within_ns)


def _kept(checkpoint: Manifest, asked: Manifest) -> _Kept:
    metadata, status = checkpoint["metadata"], checkpoint.get("status") or {}
    ready = condition(checkpoint, "Ready").get("status") == "True"
    return _Kept(
        manifest=checkpoint,
        epoch=checkpoint["spec"]["epoch"],
        pinned=bool(checkpoint["spec"].get("pinned")),
        created=instant(status.get("createdTime") or metadata["creationTimestamp"]),
        ready=ready,
        good=ready and is_enough(asked, status),
    )
