"""`mmsnap schedule …`: groups that the service checkpoints by itself, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmsnap.cli.checkpoint import Wait
from mmsnap.cli.options import Address, MaxPause, duration
from mmsnap.cli.output import Column, Format, Output, print_json, print_table
from mmsnap.quantities import format_duration, parse_duration

if TYPE_CHECKING:
    from mmsnap_sdk.service_records import Schedule

commands = typer.Typer(
    help="Have the service checkpoint groups again and again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Group = Annotated[str, typer.Argument(metavar="G", help="The group.")]


@commands.command("set")
def set_(
    group: Group,
    every: Annotated[
        str, typer.Option(parser=duration, metavar="DURATION", help="From 50ms to a day.")
    ],
    keep_last: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Keep its newest N; 10 when nothing else is said."),
    ] = None,
    keep_within: Annotated[
        str | None,
        typer.Option(parser=duration, metavar="DURATION", help='Keep what is younger, like "7d".'),
    ] = None,
    wait: Wait = "captured",
    timeout: Annotated[
        str | None,
        typer.Option(parser=duration, metavar="DURATION", help="For hooks and open updates."),
    ] = None,
    max_pause: MaxPause = None,
    replicas: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Copies on other nodes; by default as the service is told."
        ),
    ] = 0,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A label of each checkpoint; may be repeated."),
    ] = None,
    suspended: Annotated[
        bool, typer.Option("--suspended", help="Keep it, but do nothing until it is set without.")
    ] = False,
    address: Address = None,
) -> None:
    """Have a group checkpointed again and again, whatever was set before.

    Only checkpoints that a schedule made go when nothing keeps them any more; those that you took
    yourself, those pinned, and the head stay.

    \b
    Example:
        mmsnap schedule set shop --every 1s --keep-last 60 --keep-within 1h
    """
    from mmsnap.cli.service import connected

    with connected(address) as client:
        made = client.set_schedule(
            group,
            every=every,
            keep_last=keep_last,
            keep_within=keep_within,
            wait=wait,
            timeout=timeout,
            max_pause=max_pause,
            replicas=replicas,
            labels=_labels(label or []),
            suspended=suspended,
        )
    typer.echo(f"{group}: every {_duration(made.every)}, keeps {_kept(made)}")


@commands.command()
def show(
    group: Annotated[
        str | None,
        typer.Argument(metavar="G", help="The group; without it, all.", show_default=False),
    ] = None,
    output: Output = Format.TABLE,
    address: Address = None,
) -> None:
    """Show the schedule of a group, or of all groups, and how its last runs went.

    Exits with 3 when the group has none.

    \b
    Example:
        mmsnap schedule show shop
    """
    from mmsnap.cli.service import connected
    from mmsnap.errors import NotFoundError

    with connected(address) as client:
        found = client.schedules(group)
    if group is not None and not found:
        raise NotFoundError(
            f"group {group} has no schedule",
            subject=group,
            hint=f"mmsnap schedule set {group} --every 1s makes one",
        )
    if output is Format.JSON:
        print_json([_document(each) for each in found])
    else:
        print_table(_columns(), found)


@commands.command()
def off(group: Group, address: Address = None) -> None:
    """Do not checkpoint a group by itself any more. What was made stays.

    \b
    Example:
        mmsnap schedule off shop
    """
    from mmsnap.cli.service import connected

    with connected(address) as client:
        client.remove_schedule(group)
    typer.echo(f"{group}: not any more")


def _labels(words: list[str]) -> dict[str, str]:
    labels = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{word!r} is not KEY=VALUE", param_hint="--label")
        labels[key] = value
    return labels


def _columns() -> list[Column[Schedule]]:
    from mmsnap_sdk.service_records import Schedule

    return [
        Column[Schedule]("GROUP", lambda each: each.group),
        Column[Schedule]("EVERY", lambda each: _duration(each.every), numeric=True),
        Column[Schedule]("KEEPS", _kept),
        Column[Schedule]("NODE", lambda each: each.node),
        Column[Schedule]("LAST", lambda each: each.last_checkpoint),
        Column[Schedule]("FAILURES", lambda each: str(each.consecutive_failures), numeric=True),
        Column[Schedule]("NOTES", lambda each: ", ".join(_notes(each))),
    ]


def _notes(schedule: Schedule) -> list[str]:
    notes = []
    if schedule.suspended:
        notes.append("suspended")
    if schedule.waiting:
        notes.append("waits for a restore")
    if schedule.last_error:
        notes.append(schedule.last_error)
    return notes


def _kept(schedule: Schedule) -> str:
    rules = []
    if schedule.keep_last is not None:
        rules.append(f"the last {schedule.keep_last}")
    if schedule.keep_within is not None:
        rules.append(_duration(schedule.keep_within))
    return " and ".join(rules)


def _duration(length: Any) -> str:
    return format_duration(parse_duration(length))


def _document(schedule: Schedule) -> dict[str, Any]:
    """As JSON has it: durations in nanoseconds, an instant as text."""
    from dataclasses import asdict
    from datetime import timedelta

    return {
        (f"{name}_ns" if name in ("every", "keep_within", "timeout", "max_pause") else name): (
            parse_duration(value) if isinstance(value, timedelta) else value
        )
        for name, value in asdict(schedule).items()
    }
