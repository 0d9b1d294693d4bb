"""How Checkpoints are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mmsnap.cli.output import Column
from mmsnap.quantities import format_duration, format_size
from mmsnap_kubectl.conditions import conditions_of, state_of

Manifest = Mapping[str, Any]

NAMESPACE: Final = Column[Manifest]("NAMESPACE", lambda one: one["metadata"]["namespace"])
NAME: Final = Column[Manifest]("NAME", lambda one: one["metadata"]["name"])
MEASURED: Final = (
    Column[Manifest]("MEMBERS", lambda one: text_of(one, "memberCount"), numeric=True),
    Column[Manifest]("PAUSE", lambda one: pause_of(one), numeric=True),
    Column[Manifest]("SIZE", lambda one: size_of(one), numeric=True),
    Column[Manifest]("CONSISTENCY", lambda one: text_of(one, "consistency")),
    Column[Manifest]("DURABILITY", lambda one: text_of(one, "durability")),
)
_COLUMNS: Final = (
    NAME,
    Column[Manifest]("OF", lambda one: workload_of(one)),
    Column[Manifest]("STATE", lambda one: state_of(one, "Ready")),
    *MEASURED,
    Column[Manifest]("CREATED", lambda one: created(one)),
    Column[Manifest]("NOTES", lambda one: ", ".join(_notes(one))),
)


def columns(*, everywhere: bool) -> list[Column[Manifest]]:
    """Of a list of Checkpoints."""
    return [*((NAMESPACE,) if everywhere else ()), *_COLUMNS]


def by_age(found: Iterable[Manifest]) -> list[Manifest]:
    """Oldest first, as `mmsnap checkpoint list` has them."""
    return sorted(found, key=lambda one: (_instant(one), one["metadata"]["name"]))


def describe(checkpoint: Manifest) -> str:
    """One line on a checkpoint that was just taken."""
    status = checkpoint.get("status") or {}
    return (
        f"{checkpoint['metadata']['name']}: {text_of(checkpoint, 'consistency')} consistent, "
        f"{text_of(checkpoint, 'durability')}, {status.get('memberCount', 0)} members, "
        f"paused {pause_of(checkpoint)}, wrote {size_of(checkpoint)}"
    )


def pause_of(told: Manifest) -> str:
    """The longest pause of a member; "-" where it is not known."""
    pause_ms = (told.get("status") or {}).get("pauseMilliseconds")
    if pause_ms is None:
        return "-"
    return "under 1 ms" if pause_ms == 0 else format_duration(pause_ms * 10**6)


def size_of(told: Manifest) -> str:
    """What was written for it."""
    size_bytes = (told.get("status") or {}).get("sizeBytes")
    return "-" if size_bytes is None else format_size(size_bytes)


def text_of(told: Manifest, field: str) -> str:
    """A field of the status."""
    value = (told.get("status") or {}).get(field)
    return "-" if value is None else str(value)


def workload_of(checkpoint: Manifest) -> str:
    """KIND/NAME of what was checkpointed."""
    template = checkpoint["spec"].get("template")
    if not template:
        return str(checkpoint["spec"]["group"])
    return f"{template['kind'].lower()}/{template['name']}"


def created(told: Manifest) -> str:
    """When the cut was, in the time of this machine."""
    from datetime import datetime

    return datetime.fromisoformat(_instant(told)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _instant(told: Manifest) -> str:
    instant = (told.get("status") or {}).get("createdTime")
    return str(instant or told["metadata"]["creationTimestamp"])


def _notes(checkpoint: Manifest) -> list[str]:
    told = conditions_of(checkpoint)
    facts = {
        "pinned": checkpoint["spec"].get("pinned", False),
        "bytes go with it": checkpoint["spec"].get("deletionPolicy") == "Delete",
        "not Consistent": "Consistent" in told and not told["Consistent"].holds,
        "being deleted": "deletionTimestamp" in checkpoint["metadata"],
    }
    return [note for note, true in facts.items() if true]
