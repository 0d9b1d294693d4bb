"""How far a request is, by its status and the clock alone."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

Manifest = Mapping[str, Any]

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"


def condition(manifest: Manifest, kind: str) -> Manifest:
    """A condition of an object; empty: it has none of this type."""
    told = (manifest.get("status") or {}).get("conditions") or ()
    return next((one for one in told if one["type"] == kind), {})


def is_finished(manifest: Manifest) -> bool:
    """Whether a request is over, well or badly."""
    return any(condition(manifest, kind).get("status") == "True" for kind in (COMPLETE, FAILED))


def deadline(manifest: Manifest) -> datetime.datetime | None:
    """When its time is over; None: it has not begun."""
    begun = (manifest.get("status") or {}).get("startTime")
    if not begun:
        return None
    seconds: int = manifest["spec"]["timeoutSeconds"]
    return instant(begun) + datetime.timedelta(seconds=seconds)


def is_expired(manifest: Manifest, now: datetime.datetime) -> bool:
    """Whether it ended so long ago that it is to be deleted."""
    ttl = manifest["spec"].get("ttlSecondsAfterFinished")
    ended = (manifest.get("status") or {}).get("completionTime")
    if ttl is None or not ended or not is_finished(manifest):
        return False
    return now >= instant(ended) + datetime.timedelta(seconds=ttl)


def instant(text: str) -> datetime.datetime:
    """A time as the API has it."""
    return datetime.datetime.fromisoformat(text)


def as_text(moment: datetime.datetime) -> str:
    """The same the other way round."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> datetime.datetime:
    """The time here: requests last seconds, and are timed by one clock."""
    return datetime.datetime.now(datetime.UTC)
