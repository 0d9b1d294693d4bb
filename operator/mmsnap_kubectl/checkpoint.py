"""`kubectl mmsnap checkpoint ...`: checkpoints of workloads: take, look at, keep, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.output import Format, Output, print_json, print_table
from mmsnap.cli.progress import working
from mmsnap_kubectl import checkpoint_table
from mmsnap_kubectl.cluster import cluster, commands, on_cluster
from mmsnap_kubectl.following import PATIENCE_SECONDS, follow_request
from mmsnap_kubectl.kubectl import Kubectl, Manifest
from mmsnap_kubectl.names import CHECKPOINTS, REQUESTS
from mmsnap_kubectl.references import CheckpointName, Everywhere, NoWait
from mmsnap_kubectl.requests import (
    Asked,
    ConsistencyOption,
    DisruptionBudgets,
    DurabilityOption,
    EngineOption,
    MaxPause,
    Profile,
    Replicas,
    Selector,
    Source,
    Timeout,
    TimeToLive,
    Volumes,
    WithBytes,
    manifest,
    named,
    source_of,
)

checkpoints = commands("Take checkpoints of workloads, look at them, keep or delete them.")


@checkpoints.command()
@on_cluster
def create(
    source: Source = None,
    selector: Selector = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the request; by default made up.")
    ] = None,
    engine: EngineOption = None,
    profile: Profile = None,
    consistency: ConsistencyOption = None,
    durability: DurabilityOption = None,
    replicas: Replicas = None,
    volumes: Volumes = None,
    disruption_budgets: DisruptionBudgets = None,
    max_pause: MaxPause = None,
    timeout: Timeout = None,
    ttl: TimeToLive = None,
    delete_bytes: WithBytes = False,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
) -> None:
    """Take a checkpoint of all pods of a workload at one instant, or of none.

    It makes a CheckpointRequest, waits for its end and shows the Checkpoint. What is asked for is
    the least that will do: a checkpoint that is less is a failure, and is not kept.

    \b
    Examples:
        kubectl mmsnap checkpoint create statefulset/hz -n demo --max-pause 800ms
        kubectl mmsnap checkpoint create --selector app=hz --durability replicated --replicas 2
    """
    asked = Asked(
        source_of(source, selector),
        engine,
        profile,
        consistency,
        durability,
        replicas,
        volumes,
        disruption_budgets,
        max_pause,
        timeout,
        ttl,
        delete_bytes,
    )
    metadata = named(name, asked.source, "checkpoint")
    kubectl = cluster()
    made = kubectl.create(manifest("CheckpointRequest", metadata, asked.spec()))
    show_taken(kubectl, made, no_wait=no_wait, output=output)


@checkpoints.command("list")
@on_cluster
def list_(everywhere: Everywhere = False, output: Output = Format.TABLE) -> None:
    """List the checkpoints of a namespace, oldest first.

    \b
    Examples:
        kubectl mmsnap checkpoint list -n demo
        kubectl mmsnap checkpoint list -A -o json
    """
    found = checkpoint_table.by_age(cluster().list(CHECKPOINTS, everywhere=everywhere))
    if output is Format.JSON:
        print_json(found)
    else:
        print_table(checkpoint_table.columns(everywhere=everywhere), found)


@checkpoints.command()
@on_cluster
def delete(
    checkpoint: CheckpointName,
    delete_bytes: WithBytes = False,
    yes: Yes = False,
    timeout: Timeout = None,
) -> None:
    """Delete a Checkpoint, and its bytes if it or you say so.

    Without --delete-bytes what becomes of them is as its deletionPolicy says. It waits until both
    are dealt with: a restore that reads them is let end first.

    \b
    Example:
        kubectl mmsnap checkpoint delete hz-20261123-101502-e41 -n demo --delete-bytes --yes
    """
    kubectl = cluster()
    found = kubectl.get(CHECKPOINTS, checkpoint)
    goes = delete_bytes or found["spec"].get("deletionPolicy") == "Delete"
    fate = "its bytes go for good" if goes else "its bytes stay with the agents"
    confirm(f"Delete Checkpoint {checkpoint}? ({fate})", yes=yes)
    if delete_bytes:
        kubectl.patch(CHECKPOINTS, checkpoint, {"spec": {"deletionPolicy": "Delete"}})
    with working(f"deleting {checkpoint}"):
        kubectl.delete(CHECKPOINTS, checkpoint, timeout)
    typer.echo(f"deleted {checkpoint}: {fate}")


@checkpoints.command()
@on_cluster
def pin(checkpoint: CheckpointName) -> None:
    """Keep a checkpoint from being pruned by a schedule.

    \b
    Example:
        kubectl mmsnap checkpoint pin hz-20261123-101502-e41 -n demo
    """
    cluster().patch(CHECKPOINTS, checkpoint, {"spec": {"pinned": True}})


@checkpoints.command()
@on_cluster
def unpin(checkpoint: CheckpointName) -> None:
    """Let a checkpoint be pruned again.

    \b
    Example:
        kubectl mmsnap checkpoint unpin hz-20261123-101502-e41 -n demo
    """
    cluster().patch(CHECKPOINTS, checkpoint, {"spec": {"pinned": False}})


@checkpoints.command()
@on_cluster
def share(
    checkpoint: CheckpointName,
    to: Annotated[list[str], typer.Option(metavar="NAMESPACE", help="May be given several times.")],
) -> None:
    """Let other namespaces restore a checkpoint, besides those that may already.

    Who restores it there needs the right to read Checkpoints here as well.

    \b
    Example:
        kubectl mmsnap checkpoint share hz-20261123-101502-e41 -n demo --to staging
    """
    kubectl = cluster()
    before = kubectl.get(CHECKPOINTS, checkpoint)["spec"].get("allowedNamespaces", [])
    allowed = sorted({*before, *to})
    kubectl.patch(CHECKPOINTS, checkpoint, {"spec": {"allowedNamespaces": allowed}})
    typer.echo(f"{checkpoint} may be restored in {', '.join(allowed)}")


def show_taken(kubectl: Kubectl, made: Manifest, *, no_wait: bool, output: Format) -> None:
    """Waits for a CheckpointRequest, unless not awaited, and shows the Checkpoint it made."""
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    if no_wait:
        if output is Format.JSON:
            print_json(made)
        else:
            typer.echo(f"checkpointrequest/{name}")
        return
    ended = follow_request(kubectl, REQUESTS, made, f"checkpoint {name}")
    where, taken_name = kubectl.within(namespace), ended["status"]["checkpointName"]
    taken = where.get(CHECKPOINTS, taken_name, patience_seconds=PATIENCE_SECONDS)
    if output is Format.JSON:
        print_json(taken)
    else:
        typer.echo(checkpoint_table.describe(taken))
