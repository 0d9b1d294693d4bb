"""`kubectl mmsnap describe` and `wait`: one object of ours, whole; and until it is so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from mmsnap.cli.output import Column, Format, Output, print_facts, print_json, print_table
from mmsnap.errors import NotFoundError
from mmsnap.quantities import format_duration, format_size
from mmsnap_kubectl.cluster import cluster
from mmsnap_kubectl.conditions import Condition, conditions_of
from mmsnap_kubectl.following import follow
from mmsnap_kubectl.kubectl import Kubectl, Manifest
from mmsnap_kubectl.names import KINDS, REQUESTS, RESTORES
from mmsnap_kubectl.references import completed_references, reference, seconds

_EVENTS_MAX: Final = 20
_SHOWN_ELSEWHERE: Final = frozenset({"conditions", "members", "size", "observedGeneration"})

Reference = Annotated[
    str,
    typer.Argument(
        metavar="[KIND/]NAME",
        help="A checkpoint, checkpointrequest, restorerequest or checkpointschedule.",
        autocompletion=completed_references,
    ),
]


def describe(thing: Reference, output: Output = Format.TABLE) -> None:
    """Show all that is known of a checkpoint, a request or a schedule, with what happened to it.

    \b
    Examples:
        kubectl mmsnap describe hz-20261123-101502-e41 -n demo
        kubectl mmsnap describe restorerequest/hz-x7f2q -n demo
    """
    kubectl = cluster()
    found = _found(kubectl, thing)
    if output is Format.JSON:
        print_json(found)
        return
    print_facts(_facts(found))
    told = list(conditions_of(found).values())
    if told:
        typer.echo()
        print_table(_CONDITIONS, told)
    members = (found.get("status") or {}).get("members")
    if members:
        typer.echo()
        print_table(_MEMBERS, members)
    events = _events(kubectl, found)
    if events:
        typer.echo()
        print_table(_EVENTS, events)


def wait(
    thing: Reference,
    condition: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="CONDITION",
            help="Complete for requests, Ready for others by default; or Durable, Consistent, …",
        ),
    ] = None,
    timeout: Annotated[
        int, typer.Option(parser=seconds, metavar="DURATION", help="How long at most.")
    ] = "10m",  # type: ignore[assignment]
) -> None:
    """Wait until a request is Complete or a checkpoint Ready; end at once when it failed.

    \b
    Examples:
        kubectl mmsnap wait checkpointrequest/before-upgrade -n demo
        kubectl mmsnap wait checkpoint/hz-20261123-101502-e41 --for Durable --timeout 30s
    """
    kubectl = cluster()
    found = _found(kubectl, thing)
    resource, name = _resource(found), found["metadata"]["name"]
    wanted = condition or ("Complete" if resource in (REQUESTS, RESTORES) else "Ready")
    follow(kubectl, resource, name, wanted, timeout, f"waiting for {name}")
    typer.echo(f"{found['kind'].lower()}/{name} is {wanted}")


def _found(kubectl: Kubectl, thing: str) -> Manifest:
    resource, name = reference(thing)
    if resource:
        return kubectl.get(resource, name)
    for each in KINDS:
        try:
            return kubectl.get(each, name)
        except NotFoundError:
            continue
    raise NotFoundError(
        f"there is no checkpoint, request or schedule {name}",
        subject=name,
        hint="-n chooses the namespace",
    )


def _resource(found: Manifest) -> str:
    return next(resource for resource, kind in KINDS.items() if kind == found["kind"])


def _facts(found: Manifest) -> list[tuple[str, str]]:
    metadata = found["metadata"]
    spec = {key: value for key, value in found["spec"].items() if key != "template"}
    template = found["spec"].get("template") or {}
    if "name" in template:  # of a Checkpoint: the workload as it was
        spec["template"] = f"{template['kind']}/{template['name']}"
    elif "spec" in template:
        spec |= template["spec"]
    status = {
        key: value
        for key, value in (found.get("status") or {}).items()
        if key not in _SHOWN_ELSEWHERE
    }
    return [
        ("kind", found["kind"]),
        ("name", metadata["name"]),
        ("namespace", metadata["namespace"]),
        ("created", metadata["creationTimestamp"]),
        *([("being deleted", "yes")] if "deletionTimestamp" in metadata else []),
        *((_words(key), _value(key, value)) for key, value in {**spec, **status}.items()),
    ]


def _words(key: str) -> str:
    """maxPauseMilliseconds: max pause."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in key)
    for unit in (" milliseconds", " seconds", " bytes"):
        spaced = spaced.removesuffix(unit)
    return spaced


def _value(key: str, value: Any) -> str:
    if key == "source":
        return _source(value)
    if key.endswith("Milliseconds"):
        return format_duration(value * 10**6)
    if key.endswith("Bytes"):
        return format_size(value)
    if key.startswith(("timeoutSeconds", "ttlSeconds")):
        return format_duration(value * 10**9)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(name)} {told}" for name, told in value.items())
    return str(value)


def _source(source: Mapping[str, Any]) -> str:
    if "kind" in source:
        return f"{source['kind']}/{source['name']}"
    if "selector" in source:
        labels = source["selector"].get("matchLabels", {})
        return ",".join(f"{key}={value}" for key, value in labels.items())
    namespace = f"{source['namespace']}/" if "namespace" in source else ""
    if "scheduleName" in source:
        return f"the newest of schedule {namespace}{source['scheduleName']}"
    return f"{namespace}{source['checkpointName']}"


def _events(kubectl: Kubectl, found: Manifest) -> list[Manifest]:
    metadata = found["metadata"]
    events = kubectl.within(metadata["namespace"]).list(
        "events", fields=f"involvedObject.uid={metadata['uid']}"
    )
    return sorted(events, key=_happened)[-_EVENTS_MAX:]


def _happened(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


_CONDITIONS: Final = (
    Column[Condition]("CONDITION", lambda one: one.kind),
    Column[Condition]("STATUS", lambda one: one.status),
    Column[Condition]("REASON", lambda one: one.reason),
    Column[Condition]("SINCE", lambda one: one.since),
    Column[Condition]("MESSAGE", lambda one: one.message),
)
_MEMBERS: Final = (
    Column[Mapping[str, Any]]("POD", lambda one: one.get("pod", "-")),
    Column[Mapping[str, Any]]("CONTAINER", lambda one: one.get("container", "-")),
    Column[Mapping[str, Any]]("NODE", lambda one: one.get("node", "-")),
    Column[Mapping[str, Any]](
        "PAUSE", lambda one: format_duration(one.get("pauseMilliseconds", 0) * 10**6), numeric=True
    ),
    Column[Mapping[str, Any]]("SIZE", lambda one: format_size(one.get("bytes", 0)), numeric=True),
    Column[Mapping[str, Any]]("COPIES", lambda one: ", ".join(one.get("copies", ()))),
    Column[Mapping[str, Any]]("IMAGE", lambda one: one.get("image", "-")),
)
_EVENTS: Final = (
    Column[Mapping[str, Any]]("WHEN", _happened),
    Column[Mapping[str, Any]]("TYPE", lambda one: one.get("type", "")),
    Column[Mapping[str, Any]]("REASON", lambda one: one.get("reason", "")),
    Column[Mapping[str, Any]]("MESSAGE", lambda one: one.get("message", "").strip()),
)
