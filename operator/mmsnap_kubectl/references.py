"""How objects are named on the command line, and what the arguments and options mean that do it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mmsnap.errors import MmsnapError
from mmsnap.quantities import parse_duration
from mmsnap_kubectl.cluster import cluster_of
from mmsnap_kubectl.kubectl import Kubectl
from mmsnap_kubectl.names import CHECKPOINTS, KINDS, RESOURCES, SCHEDULES, WORKLOADS


class Engine(StrEnum):
    """What captures a member."""

    MEMORY = "memory"
    PROCESS = "process"
    KUBELET = "kubelet"


class Consistency(StrEnum):
    """The least consistency that will do."""

    CRASH = "Crash"
    APPLICATION = "Application"


class Durability(StrEnum):
    """What a checkpoint survives, at least."""

    CAPTURED = "Captured"
    DURABLE = "Durable"
    REPLICATED = "Replicated"


class Either(StrEnum):
    """What to do about something that stands in the way."""

    REFUSE = "Refuse"
    IGNORE = "Ignore"


def workload(text: str) -> dict[str, str]:
    """KIND/NAME of a workload as an object refers to it; a bare name is a StatefulSet's.

    Raises:
        typer.BadParameter: it is no workload that can be checkpointed.
    """
    written, slash, name = text.rpartition("/")
    kind = WORKLOADS.get(written.lower()) if slash else "StatefulSet"
    if kind is None or not name:
        known = ", ".join(sorted({value.lower() for value in WORKLOADS.values()}))
        raise typer.BadParameter(f"{text!r} is not KIND/NAME, where KIND is one of {known}")
    return {"kind": kind, "name": name}


def reference(text: str) -> tuple[str, str]:
    """KIND/NAME of one of our objects: its resource, empty when only NAME was given, and its name.

    Raises:
        typer.BadParameter: there is no such kind.
    """
    written, slash, name = text.rpartition("/")
    if not slash:
        return "", name
    resource = RESOURCES.get(written.lower())
    if resource is None or not name:
        known = ", ".join(kind.lower() for kind in KINDS.values())
        raise typer.BadParameter(f"{text!r} is not KIND/NAME, where KIND is one of {known}")
    return resource, name


def milliseconds(text: str) -> int:
    """A duration in milliseconds, at least one."""
    return max(1, _duration_ns(text) // 10**6)


def seconds(text: str) -> int:
    """A duration in whole seconds."""
    return -(-_duration_ns(text) // 10**9)


def duration(text: str) -> str:
    """A duration as the objects have it."""
    _duration_ns(text)
    return text.replace(" ", "")


def _duration_ns(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def names_of(kubectl: Kubectl, resource: str, incomplete: str, *, labels: str = "") -> list[str]:
    """What a name may be completed to."""
    try:
        found = kubectl.list(resource, labels=labels)
    except MmsnapError:  # a person who presses Tab wants no errors
        return []
    told = (str(one["metadata"]["name"]) for one in found)
    return [name for name in told if name.startswith(incomplete)]


def completed_checkpoints(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of Checkpoints."""
    return names_of(cluster_of(ctx), CHECKPOINTS, incomplete)


def completed_references(ctx: typer.Context, incomplete: str) -> list[str]:
    """KIND/NAME: first the kinds, then names of the one that is written."""
    written, slash, begun = incomplete.rpartition("/")
    if not slash:
        return [f"{kind.lower()}/" for kind in KINDS.values() if kind.lower().startswith(begun)]
    resource = RESOURCES.get(written.lower())
    found = names_of(cluster_of(ctx), resource, begun) if resource else []
    return [f"{written}/{name}" for name in found]


def _completed_schedules(ctx: typer.Context, incomplete: str) -> list[str]:
    return names_of(cluster_of(ctx), SCHEDULES, incomplete)


CheckpointName = Annotated[
    str,
    typer.Argument(
        metavar="C",
        help="A Checkpoint.",
        autocompletion=completed_checkpoints,
        show_default=False,
    ),
]
ScheduleName = Annotated[
    str,
    typer.Argument(
        metavar="S",
        help="A CheckpointSchedule.",
        autocompletion=_completed_schedules,
        show_default=False,
    ),
]
Everywhere = Annotated[bool, typer.Option("-A", "--all-namespaces", help="Of all namespaces.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Return at once; `kubectl mmsnap wait` waits later.")
]
