"""What a CheckpointRequest asks for, from options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mmsnap_kubectl.names import API_VERSION
from mmsnap_kubectl.references import (
    Consistency,
    Durability,
    Either,
    Engine,
    milliseconds,
    seconds,
    workload,
)

_ANY_CASE = {"case_sensitive": False}

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="KIND/NAME",
        help="The workload; a bare NAME is a StatefulSet's. Left out with --selector.",
        show_default=False,
    ),
]
Selector = Annotated[
    str | None,
    typer.Option(metavar="LABELS", help='Pods instead of a workload, like "app=hz,tier=data".'),
]
EngineOption = Annotated[
    Engine | None, typer.Option("--engine", help="Refuse pods that run another one.", **_ANY_CASE)
]
Profile = Annotated[
    str | None, typer.Option(metavar="NAME", help="Refuse pods that run another one.")
]
ConsistencyOption = Annotated[
    Consistency | None,
    typer.Option("--consistency", help="The least that will do; less is a failure.", **_ANY_CASE),
]
DurabilityOption = Annotated[
    Durability | None,
    typer.Option(
        "--durability",
        help="What it has to survive, else it is a failure: captured: the process; durable: the "
        "node's restart; replicated: the node.",
        **_ANY_CASE,
    ),
]
Replicas = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="Copies on other nodes; by default as the agents do."),
]
Volumes = Annotated[
    Either | None,
    typer.Option(help="What to do when a member mounts a writable volume claim.", **_ANY_CASE),
]
DisruptionBudgets = Annotated[
    Either | None,
    typer.Option(
        help="What to do when more stand still at once than a PodDisruptionBudget allows.",
        **_ANY_CASE,
    ),
]
MaxPause = Annotated[
    int | None,
    typer.Option(
        parser=milliseconds,
        metavar="DURATION",
        help='Give up, pods running on, if the pause would be longer; like "800ms".',
    ),
]
Timeout = Annotated[
    int | None,
    typer.Option(parser=seconds, metavar="DURATION", help='For all of it; like "60s".'),
]
TimeToLive = Annotated[
    int | None,
    typer.Option(
        "--ttl", parser=seconds, metavar="DURATION", help="Delete the request so long afterwards."
    ),
]
WithBytes = Annotated[
    bool,
    typer.Option(
        "--delete-bytes",
        help="Let the bytes go too when the Checkpoint object is deleted; else they stay.",
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What options ask of a checkpoint; None: as the cluster does by default."""

    source: Mapping[str, Any]
    engine: Engine | None = None
    profile: str | None = None
    consistency: Consistency | None = None
    durability: Durability | None = None
    replicas: int | None = None
    volumes: Either | None = None
    disruption_budgets: Either | None = None
    max_pause_milliseconds: int | None = None
    timeout_seconds: int | None = None
    ttl_seconds: int | None = None
    delete_bytes: bool = False

    def spec(self) -> dict[str, Any]:
        """The specification; what was not asked for is left to the API server's defaults."""
        told = {
            "source": dict(self.source),
            "engine": self.engine,
            "profile": self.profile,
            "consistency": self.consistency,
            "durability": self.durability,
            "replicas": self.replicas,
            "volumes": self.volumes,
            "disruptionBudgets": self.disruption_budgets,
            "maxPauseMilliseconds": self.max_pause_milliseconds,
            "timeoutSeconds": self.timeout_seconds,
            "ttlSecondsAfterFinished": self.ttl_seconds,
            "deletionPolicy": "Delete" if self.delete_bytes else None,
        }
        return {key: value for key, value in told.items() if value is not None}


def source_of(written: str | None, selector: str | None) -> dict[str, Any]:
    """The source, from exactly one of the two.

    Raises:
        typer.BadParameter: none is given, or both are.
    """
    if (written is None) == (selector is None):
        raise typer.BadParameter("say what to checkpoint: either KIND/NAME or --selector LABELS")
    if written is not None:
        return workload(written)
    assert selector is not None
    labels = dict(part.strip().partition("=")[::2] for part in selector.split(","))
    if not all(labels) or not all("=" in part for part in selector.split(",")):
        raise typer.BadParameter(f"{selector!r} is not like app=hz,tier=data")
    return {"selector": {"matchLabels": labels}}


def named(name: str | None, source: Mapping[str, Any], fallback: str) -> dict[str, str]:
    """The name that a request gets, or how the API server makes one."""
    if name is not None:
        return {"name": name}
    return {"generateName": f"{source.get('name') or fallback}-"}


def manifest(kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object of ours."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}
