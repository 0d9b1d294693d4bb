"""All commands of `kubectl mmsnap`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsnap_kubectl.checkpoint import checkpoints
from mmsnap_kubectl.cluster import commands, on_cluster
from mmsnap_kubectl.clustersnap import clustersnaps
from mmsnap_kubectl.describe import describe, wait
from mmsnap_kubectl.pods import list_
from mmsnap_kubectl.restore import restore
from mmsnap_kubectl.schedule import schedules
from mmsnap_kubectl.usage import show_usage, usage

application = commands()


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"kubectl-mmsnap {version('mmsnap')}")
        raise typer.Exit


@application.callback()
@on_cluster
def _kubectl_mmsnap(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    """Checkpoint and restore workloads of a cluster, with kubectl's rights and yours.

    A checkpoint is of all pods of a workload at one instant. The commands make and read objects
    (CheckpointRequest, Checkpoint, RestoreRequest, CheckpointSchedule), which kubectl shows, too.

    \b
    Example:
        kubectl mmsnap checkpoint create statefulset/hz -n demo
        kubectl mmsnap checkpoint list -n demo
        kubectl mmsnap restore hz-20261123-101502-e41 -n demo
        kubectl mmsnap schedule set hz statefulset/hz -n demo --every 15m --keep-last 10

    \b
    Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 aborted (pods run on), 5 corrupt,
    6 the API server is not reached.
    """


application.command()(on_cluster(usage))
application.command("show-usage")(on_cluster(show_usage))
application.command("list")(on_cluster(list_))
application.add_typer(clustersnaps, name="clustersnap")
application.add_typer(checkpoints, name="checkpoint")
application.command()(on_cluster(restore))
application.add_typer(schedules, name="schedule")
application.command()(on_cluster(describe))
application.command()(on_cluster(wait))
