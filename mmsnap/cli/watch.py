"""`mmsnap watch`: what happens in the service, as it happens."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mmsnap.cli.options import Address
from mmsnap.cli.output import Format, Output, print_json_line

if TYPE_CHECKING:
    from mmsnap_sdk.service_records import Event


def watch(
    group: Annotated[
        str | None, typer.Argument(metavar="G", help="Of this group only.", show_default=False)
    ] = None,
    output: Output = Format.TABLE,
    address: Address = None,
) -> None:
    """Show what happens from now on, a line each, until Ctrl-C.

    Members that attach, leave or are lost; checkpoints, also aborted ones; restores; deletions. On
    several nodes: of all of them, and when one can not be heard any more.

    \b
    Example:
        mmsnap watch shop -o json
    """
    from mmsnap.cli.service import connected

    with connected(address) as client:
        for event in client.watch(group):
            if output is Format.JSON:
                print_json_line(asdict(event))
            else:
                typer.echo(_line(event))


def _line(event: Event) -> str:
    about = ".".join(part for part in (event.group, event.member) if part)
    epoch = f" @{event.epoch}" if event.epoch else ""
    at = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    node = f"{event.node}  " if event.node else ""
    return f"{at}  {event.kind:<11}  {node}{about}{epoch}  {event.text}".rstrip()
