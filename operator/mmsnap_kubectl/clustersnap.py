"""`kubectl mmsnap clustersnap ...`: checkpoints under names of yours, as in earlier releases.

A clustersnap is a CheckpointRequest of that name with a label, and the Checkpoint it made. The
request is kept as long as the clustersnap, so that the name is.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.output import Column, Format, Output, print_json, print_table
from mmsnap.cli.progress import working
from mmsnap.errors import NotFoundError, UnsupportedError
from mmsnap_kubectl import checkpoint_table
from mmsnap_kubectl.checkpoint import show_taken
from mmsnap_kubectl.cluster import cluster, commands, on_cluster
from mmsnap_kubectl.conditions import error_of, failure_of, state_of
from mmsnap_kubectl.kubectl import Kubectl, Manifest
from mmsnap_kubectl.names import (
    CHECKPOINTS,
    CLUSTERSNAP_LABEL,
    PROFILE_OPTIONS_VARIABLE,
    REQUESTS,
)
from mmsnap_kubectl.references import Either, Everywhere, NoWait
from mmsnap_kubectl.requests import Asked, MaxPause, Profile, Timeout, manifest
from mmsnap_kubectl.restore import Strategy, show_restored

clustersnaps = commands("Checkpoints of StatefulSets under names of yours.")


def _completed(ctx: Any, incomplete: str) -> list[str]:
    from mmsnap_kubectl.cluster import cluster_of
    from mmsnap_kubectl.references import names_of

    return names_of(cluster_of(ctx), REQUESTS, incomplete, labels=CLUSTERSNAP_LABEL)


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of the clustersnap.", autocompletion=_completed),
]
NewName = Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called.")]


@clustersnaps.command()
@on_cluster
def create(
    name: NewName,
    stateful_set: Annotated[
        str, typer.Option("--statefulset", metavar="NAME", help="What is checkpointed.")
    ],
    profile: Profile = None,
    profile_options: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Refuse pods whose profile has not these options, too."),
    ] = None,
    max_pause: MaxPause = None,
    volumes: Annotated[Either | None, typer.Option(case_sensitive=False, hidden=True)] = None,
    timeout: Timeout = None,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
) -> None:
    """Take a checkpoint of a StatefulSet, all pods at one instant, under a name of yours.

    A profile is part of the pods: the annotation memory-machine.memverge.com/profile and the
    variable MMSNAP_PROFILE_OPTIONS say which they run. Here it is only made sure of.

    \b
    Example:
        kubectl mmsnap clustersnap create before-upgrade --namespace demo --statefulset hz \\
            --profile hazelcast --profile-options '--nopause'
    """
    kubectl = cluster()
    if profile_options is not None:
        _require_options(kubectl, stateful_set, profile_options)
    asked = Asked(
        {"kind": "StatefulSet", "name": stateful_set},
        profile=profile,
        volumes=volumes,
        max_pause_milliseconds=max_pause,
        timeout_seconds=timeout,
        delete_bytes=True,
    )
    metadata = {"name": name, "labels": {CLUSTERSNAP_LABEL: name[:63]}}
    made = kubectl.create(manifest("CheckpointRequest", metadata, asked.spec()))
    show_taken(kubectl, made, no_wait=no_wait, output=output)


@clustersnaps.command("list")
@on_cluster
def list_(everywhere: Everywhere = False, output: Output = Format.TABLE) -> None:
    """List the clustersnaps of a namespace, those that failed too.

    \b
    Example:
        kubectl mmsnap clustersnap list --namespace demo
    """
    kubectl = cluster()
    found = checkpoint_table.by_age(
        kubectl.list(REQUESTS, everywhere=everywhere, labels=CLUSTERSNAP_LABEL)
    )
    if output is Format.JSON:
        print_json(found)
        return
    namespaces = (checkpoint_table.NAMESPACE,) if everywhere else ()
    print_table([*namespaces, *_COLUMNS], found)


@clustersnaps.command()
@on_cluster
def restore(
    name: Name,
    strategy: Annotated[
        Strategy,
        typer.Option(
            case_sensitive=False, help="Recreate: new pods. InPlace: the pods stay, and keep IPs."
        ),
    ] = Strategy.RECREATE,
    timeout: Timeout = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
) -> None:
    """Bring the StatefulSet back to a clustersnap.

    As in earlier releases its pods are deleted and made anew, and their addresses change; with
    --strategy inplace they stay, which is quicker.

    \b
    Example:
        kubectl mmsnap clustersnap restore before-upgrade --namespace demo
    """
    kubectl = cluster()
    request = _found(kubectl, name)
    workload = request["spec"]["source"]
    spec: dict[str, Any] = {
        "source": {"checkpointName": _checkpoint_of(request)},
        "strategy": strategy.value,
        **({"timeoutSeconds": timeout} if timeout else {}),
    }
    confirm(
        f"Bring statefulset/{workload['name']} back to {name}? What was done since is lost.",
        yes=yes,
        without_terminal=True,
    )
    made = kubectl.create(manifest("RestoreRequest", {"generateName": f"{name}-"}, spec))
    show_restored(kubectl, made, no_wait=no_wait, output=output)


@clustersnaps.command()
@on_cluster
def delete(name: Name, yes: Yes = False, timeout: Timeout = None) -> None:
    """Delete a clustersnap: its request, its Checkpoint and the bytes.

    \b
    Example:
        kubectl mmsnap clustersnap delete before-upgrade --namespace demo --yes
    """
    kubectl = cluster()
    request = _found(kubectl, name)
    confirm(f"Delete the clustersnap {name} and its bytes?", yes=yes)
    checkpoint: str = (request.get("status") or {}).get("checkpointName", "")
    with working(f"deleting {name}"):
        if checkpoint:
            _delete_if_there(kubectl, checkpoint, timeout)
        # Last, so that the name is there to try again with.
        kubectl.delete(REQUESTS, name, timeout)
    typer.echo(f"deleted {name}")


_COLUMNS: Final = (
    checkpoint_table.NAME,
    Column[Mapping[str, Any]]("STATEFULSET", lambda one: str(one["spec"]["source"].get("name"))),
    Column[Mapping[str, Any]]("STATE", lambda one: state_of(one, "Complete")),
    *checkpoint_table.MEASURED,
    Column[Mapping[str, Any]]("CREATED", checkpoint_table.created),
    Column[Mapping[str, Any]](
        "CHECKPOINT", lambda one: checkpoint_table.text_of(one, "checkpointName")
    ),
)


def _found(kubectl: Kubectl, name: str) -> Manifest:
    request = kubectl.get(REQUESTS, name)
    if CLUSTERSNAP_LABEL not in request["metadata"].get("labels", {}):
        raise NotFoundError(
            f"{name} is a CheckpointRequest, but no clustersnap",
            subject=name,
            hint="kubectl mmsnap clustersnap list",
        )
    return request


def _checkpoint_of(request: Manifest) -> str:
    failure = failure_of(request)
    if failure is not None:
        raise error_of(request, failure)
    name: str | None = (request.get("status") or {}).get("checkpointName")
    if name is None:
        subject = request["metadata"]["name"]
        raise NotFoundError(
            f"{subject} is not complete yet",
            subject=subject,
            hint=f"kubectl mmsnap wait checkpointrequest/{subject}",
        )
    return name


def _delete_if_there(kubectl: Kubectl, checkpoint: str, timeout_seconds: float | None) -> None:
    try:
        kubectl.patch(CHECKPOINTS, checkpoint, {"spec": {"deletionPolicy": "Delete"}})
        kubectl.delete(CHECKPOINTS, checkpoint, timeout_seconds)
    except NotFoundError:
        return


def _require_options(kubectl: Kubectl, stateful_set: str, wanted: str) -> None:
    """They are chosen when a program starts, so a cut can not add them."""
    try:
        words = shlex.split(wanted)
    except ValueError as error:
        raise typer.BadParameter(f"{wanted!r} is not like a shell's words: {error}") from error
    found = kubectl.get("statefulsets.apps", stateful_set)
    containers = found["spec"]["template"]["spec"]["containers"]
    given = {
        word
        for container in containers
        for variable in container.get("env") or ()
        if variable["name"] == PROFILE_OPTIONS_VARIABLE
        for word in _words(variable.get("value", ""))
    }
    missing = [word for word in words if word not in given]
    if missing:
        raise UnsupportedError(
            f"the pods of statefulset/{stateful_set} run their profile without {' '.join(missing)}",
            subject=f"statefulset/{stateful_set}",
            hint=f"a profile's options belong to the program that runs: set "
            f"{PROFILE_OPTIONS_VARIABLE} in its container, then create the clustersnap",
        )


def _words(options: str) -> list[str]:
    """Of a variable that somebody else wrote; what no shell understands is one word."""
    try:
        return shlex.split(options)
    except ValueError:
        return [options]
