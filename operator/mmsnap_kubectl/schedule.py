"""`kubectl mmsnap schedule ...`: checkpoints again and again, and how many of them are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.output import Column, Format, Output, print_json, print_table
from mmsnap.errors import NotFoundError
from mmsnap.quantities import parse_duration
from mmsnap_kubectl import checkpoint_table
from mmsnap_kubectl.cluster import cluster, commands, on_cluster
from mmsnap_kubectl.conditions import state_of
from mmsnap_kubectl.kubectl import Manifest
from mmsnap_kubectl.names import SCHEDULES
from mmsnap_kubectl.references import Everywhere, ScheduleName, duration
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
    source_of,
)

# What the agents keep of a schedule without a rule, that is, of one under a minute.
KEPT_BY_AGENTS: Final = 10
_MINUTE_NS: Final = 60 * 10**9

schedules = commands("Take checkpoints again and again, and say how many are kept.")


@schedules.command("set")
@on_cluster
def set_(
    name: Annotated[str, typer.Argument(metavar="S", help="What the schedule is called.")],
    source: Source = None,
    selector: Selector = None,
    every: Annotated[
        str | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            help='Like "1s" or "15m"; under a minute the agents keep it themselves.',
        ),
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="FIELDS", help='Instead, as in cron: "*/5 * * * *".')
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of --cron, like Europe/Berlin.")
    ] = None,
    keep_last: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Keep the newest N.")
    ] = None,
    keep_within: Annotated[
        str | None,
        typer.Option(parser=duration, metavar="DURATION", help='Keep what is younger, like "24h".'),
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
) -> None:
    """Take checkpoints of a workload from now on, or change when and how many are kept.

    What one of --keep-last and --keep-within keeps stays; without either all of them do, under
    a minute the newest 10. Those you pin stay anyway. Of a schedule that is there already, what
    you leave out stays as it is; what it takes can not be changed.

    \b
    Examples:
        kubectl mmsnap schedule set hz statefulset/hz -n demo --every 1s --keep-last 60
        kubectl mmsnap schedule set nightly sts/hz --cron "0 3 * * *" --time-zone Europe/Berlin
    """
    if (every is None) == (cron is None):
        raise typer.BadParameter("say when: either --every DURATION or --cron FIELDS")
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
    pace = {"interval": every, "schedule": cron, "timeZone": time_zone}
    kept = _given({"keepLast": keep_last, "keepWithin": keep_within})
    retention = {"retention": kept} if kept else {}
    kubectl = cluster()
    try:
        there = kubectl.get(SCHEDULES, name)
    except NotFoundError:
        spec = {**_given(pace), **retention, "template": {"spec": asked.spec()}}
        made = kubectl.create(manifest("CheckpointSchedule", {"name": name}, spec))
    else:
        kubectl.patch(SCHEDULES, name, {"spec": _changed(there, pace, retention, asked)})
        made = kubectl.get(SCHEDULES, name)
    typer.echo(f"{made['metadata']['name']}: {_pace(made)}, {_keeping(made)}")


@schedules.command("list")
@on_cluster
def list_(everywhere: Everywhere = False, output: Output = Format.TABLE) -> None:
    """List the schedules of a namespace, and how their last checkpoints went.

    \b
    Example:
        kubectl mmsnap schedule list -n demo
    """
    found = cluster().list(SCHEDULES, everywhere=everywhere)
    if output is Format.JSON:
        print_json(found)
    else:
        namespaces = (checkpoint_table.NAMESPACE,) if everywhere else ()
        print_table([*namespaces, *_COLUMNS], found)


@schedules.command()
@on_cluster
def suspend(schedule: ScheduleName) -> None:
    """Take no checkpoints for the time being.

    \b
    Example:
        kubectl mmsnap schedule suspend hz -n demo
    """
    cluster().patch(SCHEDULES, schedule, {"spec": {"suspend": True}})


@schedules.command()
@on_cluster
def resume(schedule: ScheduleName) -> None:
    """Take checkpoints again.

    \b
    Example:
        kubectl mmsnap schedule resume hz -n demo
    """
    cluster().patch(SCHEDULES, schedule, {"spec": {"suspend": False}})


@schedules.command()
@on_cluster
def delete(schedule: ScheduleName, yes: Yes = False) -> None:
    """Delete a schedule; the checkpoints that it took stay.

    \b
    Example:
        kubectl mmsnap schedule delete hz -n demo --yes
    """
    confirm(f"Delete the schedule {schedule}? (its checkpoints stay)", yes=yes)
    cluster().delete(SCHEDULES, schedule)
    typer.echo(f"deleted {schedule}")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _changed(
    schedule: Manifest, pace: Mapping[str, Any], retention: Mapping[str, Any], asked: Asked
) -> dict[str, Any]:
    """A merge patch: nothing goes that was not typed, but the other way to say when."""
    spec: dict[str, Any] = {**pace, **retention}
    if pace["timeZone"] is None and pace["schedule"] is not None:
        del spec["timeZone"]
    takes = schedule["spec"]["template"]["spec"]
    template = {**takes, **asked.spec()}
    # The API server says why not.
    return {**spec, "template": {"spec": template}} if template != takes else spec


def _source(schedule: Mapping[str, Any]) -> str:
    source = schedule["spec"]["template"]["spec"]["source"]
    if "name" in source:
        return f"{source['kind'].lower()}/{source['name']}"
    labels = source["selector"].get("matchLabels", {})
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _pace(schedule: Mapping[str, Any]) -> str:
    spec = schedule["spec"]
    if "interval" in spec:
        return f"every {spec['interval']}"
    return f"{spec['schedule']} ({spec.get('timeZone', 'Etc/UTC')})"


def _keeping(schedule: Mapping[str, Any]) -> str:
    kept = schedule["spec"].get("retention") or {}
    by_agents = _is_kept_by_agents(schedule)
    rules = []
    if "keepLast" in kept and (kept["keepLast"] or not by_agents):
        rules.append(f"the newest {kept['keepLast']}")
    if "keepWithin" in kept:
        rules.append(f"those younger than {kept['keepWithin']}")
    if not rules and by_agents:
        rules.append(f"the newest {KEPT_BY_AGENTS}")
    return f"keeps {' and '.join(rules)}" if rules else "keeps all"


def _is_kept_by_agents(schedule: Mapping[str, Any]) -> bool:
    interval = schedule["spec"].get("interval")
    return interval is not None and parse_duration(interval) < _MINUTE_NS


def _state(schedule: Mapping[str, Any]) -> str:
    return "Suspended" if schedule["spec"].get("suspend") else state_of(schedule, "Ready")


_COLUMNS: Final = (
    checkpoint_table.NAME,
    Column[Mapping[str, Any]]("OF", _source),
    Column[Mapping[str, Any]]("WHEN", _pace),
    Column[Mapping[str, Any]]("KEPT", lambda one: _keeping(one).removeprefix("keeps ")),
    Column[Mapping[str, Any]]("STATE", _state),
    Column[Mapping[str, Any]](
        "FAILURES", lambda one: checkpoint_table.text_of(one, "consecutiveFailures"), numeric=True
    ),
    Column[Mapping[str, Any]](
        "LAST CHECKPOINT", lambda one: checkpoint_table.text_of(one, "lastCheckpointName")
    ),
)
