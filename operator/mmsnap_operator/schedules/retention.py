"""Which Checkpoints of a schedule its retention lets go: the rule of `mmsnap.retention`, pure.

The newest that is Ready stays whatever is asked for, and so does what is pinned or being read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mmsnap.retention import Retention, prunable
from mmsnap_operator.requests.ending import condition, instant
from mmsnap_operator.schedules.timing import duration_of

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    epoch: int
    pinned: bool
    created: datetime
    ready: bool
    automatic: bool = True


def superfluous(checkpoints: Sequence[Manifest], spec: Manifest | None, now: datetime) -> list[str]:
    """The names of those that go, oldest first; Refused."""
    retention = _retention(spec or {})
    if retention is None:
        return []
    kept = [_kept(one) for one in checkpoints if not one["metadata"].get("deletionTimestamp")]
    ready = max((one.epoch for one in kept if one.ready), default=None)
    gone = prunable(
        kept,
        retention,
        age_ns=lambda one: int((now - one.created).total_seconds() * 1e9),
        needed=(ready,),
    )
    return [one.name for one in gone]


def _retention(spec: Manifest) -> Retention | None:
    keep_last, within = spec.get("keepLast"), spec.get("keepWithin")
    if keep_last is None and within is None:
        return None
    within_ns = None if within is None else int(duration_of(within).total_seconds() * 1e9)
    return Retention(keep_last, within_ns)


def _kept(checkpoint: Manifest) -> _Kept:
    metadata, status = checkpoint["metadata"], checkpoint.get("status") or {}
    return _Kept(
        name=metadata["name"],
        epoch=checkpoint["spec"]["epoch"],
        pinned=bool(checkpoint["spec"].get("pinned")),
        created=instant(status.get("createdTime") or metadata["creationTimestamp"]),
        ready=condition(checkpoint, "Ready").get("status") == "True",
    )
