"""`mmsnap ps`: who is a member of which group."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mmsnap.cli.options import Address
from mmsnap.cli.output import Column, Format, Output, print_json, print_table
from mmsnap.quantities import format_size

if TYPE_CHECKING:
    from mmsnap_sdk.service_records import Member


def ps(
    group: Annotated[
        str | None, typer.Argument(metavar="G", help="Of this group only.", show_default=False)
    ] = None,
    output: Output = Format.TABLE,
    address: Address = None,
) -> None:
    """List the members of a group, or of all groups.

    A member that is lost ended without a word: its group takes no checkpoint until it is back.

    \b
    Example:
        mmsnap ps shop
    """
    from mmsnap.cli.service import connected

    with connected(address) as client:
        members = client.members(group)
    if output is Format.JSON:
        print_json([asdict(member) for member in members])
    else:
        print_table(_columns(with_nodes=any(member.node for member in members)), members)


def _columns(*, with_nodes: bool) -> list[Column[Member]]:
    nodes: list[Column[Member]] = [Column("NODE", lambda member: member.node)]
    return [
        Column("GROUP", lambda member: member.group),
        Column("MEMBER", lambda member: member.member),
        *(nodes if with_nodes else ()),
        Column("STATE", lambda member: member.state),
        Column("PID", lambda member: str(member.pid or "-"), numeric=True),
        Column("SIZE AT MOST", lambda member: format_size(member.size_bytes), numeric=True),
        Column("ON LOSS", lambda member: member.on_loss),
        Column("HEAD", lambda member: _epoch(member.head_epoch), numeric=True),
    ]


def _epoch(epoch: int | None) -> str:
    return "-" if epoch is None else f"@{epoch}"
