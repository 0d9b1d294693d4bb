"""`kubectl mmsnap restore`: bring a workload back to a checkpoint, or make a second one of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.output import Format, Output, print_json
from mmsnap_kubectl.cluster import cluster
from mmsnap_kubectl.following import follow_request
from mmsnap_kubectl.kubectl import Kubectl, Manifest
from mmsnap_kubectl.names import RESTORES
from mmsnap_kubectl.references import Either, NoWait, completed_checkpoints, workload
from mmsnap_kubectl.requests import DisruptionBudgets, Timeout, manifest


class Strategy(StrEnum):
    """How a workload comes back."""

    IN_PLACE = "InPlace"
    RECREATE = "Recreate"
    CLONE = "Clone"


StrategyOption = Annotated[
    Strategy | None,
    typer.Option(
        "--strategy",
        case_sensitive=False,
        help="InPlace: the pods stay (the default). Recreate: new pods, also of a workload that "
        "is gone. Clone: a second workload (the default with --as).",
    ),
]


def restore(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="C",
            help="A Checkpoint; left out with --schedule.",
            autocompletion=completed_checkpoints,
            show_default=False,
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(metavar="S", help="The newest Ready checkpoint of this schedule instead."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAMESPACE", help="Where the Checkpoint is, if not where you restore."
        ),
    ] = None,
    strategy: StrategyOption = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="KIND/NAME", help="What a clone is called; NAME is a StatefulSet's."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it can work; change nothing.")
    ] = False,
    disruption_budgets: DisruptionBudgets = None,
    timeout: Timeout = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
) -> None:
    """Bring a workload back to a checkpoint: all of its pods, or none.

    It makes a RestoreRequest and waits for its end. What came after the checkpoint is lost to the
    workload, but its later checkpoints stay.

    \b
    Examples:
        kubectl mmsnap restore hz-20261123-101502-e41 -n demo
        kubectl mmsnap restore --schedule hz -n demo --strategy recreate --yes
        kubectl mmsnap restore hz-20261123-101502-e41 -n staging --from demo --as hz-copy
    """
    if (checkpoint is None) == (schedule is None):
        raise typer.BadParameter("say what to restore: either a Checkpoint or --schedule S")
    chosen = strategy or (Strategy.CLONE if target else Strategy.IN_PLACE)
    if chosen is Strategy.CLONE and target is None:
        raise typer.BadParameter("a clone needs a name", param_hint="--as")
    if not check and chosen is not Strategy.CLONE:
        confirm(
            f"Bring the workload back to {checkpoint or f'the newest of {schedule}'}? "
            "What was done since is lost.",
            yes=yes,
            without_terminal=True,
        )
    given = {"checkpointName": checkpoint, "scheduleName": schedule, "namespace": source}
    spec: dict[str, Any] = {
        "source": {key: value for key, value in given.items() if value is not None},
        "strategy": chosen.value,
        "preflightOnly": check,
        **({"target": workload(target)} if target else {}),
        **_limits(disruption_budgets, timeout),
    }
    made = cluster().create(
        manifest("RestoreRequest", {"generateName": f"{checkpoint or schedule}-"}, spec)
    )
    show_restored(cluster(), made, no_wait=no_wait, output=output)


def show_restored(kubectl: Kubectl, made: Manifest, *, no_wait: bool, output: Format) -> None:
    """Waits for a RestoreRequest, unless not awaited, and shows what came of it."""
    name = made["metadata"]["name"]
    if no_wait:
        ended = made
        words = f"restorerequest/{name}"
    else:
        ended = follow_request(kubectl, RESTORES, made, f"restore {name}")
        words = _told(ended)
    if output is Format.JSON:
        print_json(ended)
    else:
        typer.echo(words)


def _limits(budgets: Either | None, timeout_seconds: int | None) -> dict[str, Any]:
    return {
        **({"disruptionBudgets": budgets.value} if budgets else {}),
        **({"timeoutSeconds": timeout_seconds} if timeout_seconds else {}),
    }


def _told(ended: Manifest) -> str:
    spec, status = ended["spec"], ended["status"]
    checkpoint = status.get("checkpointName") or spec["source"].get("checkpointName")
    target = spec.get("target")
    what = f"{target['kind'].lower()}/{target['name']}" if target else "the workload"
    if spec.get("preflightOnly"):
        return f"{what} can be restored to {checkpoint}"
    members = status.get("memberCount")
    return f"{what} is at {checkpoint}" + (f", {members} members" if members else "")
