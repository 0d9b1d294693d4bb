"""`kubectl mmsnap usage` and `show-usage`: what nodes' pools hold, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from mmsnap.cli.output import Column, Format, Output, print_facts, print_json, print_table
from mmsnap.cli.progress import working
from mmsnap.errors import NotFoundError
from mmsnap.quantities import format_size
from mmsnap_kubectl.cluster import cluster
from mmsnap_kubectl.node_usage import Usage, next_usage_of, usage_of

Row = Mapping[str, Any]

_FRESH_SECONDS: Final = 60.0


Fresh = Annotated[bool, typer.Option("--fresh", help="Wait for the next figures, some seconds.")]


def usage(fresh: Fresh = False, output: Output = Format.TABLE) -> None:
    """Show how much of the pools of all nodes is used.

    It is what the operator saw last, every ten seconds. -n is the operator's namespace, by default
    memverge; you need the right to read the MemoryMachine there.

    \b
    Examples:
        kubectl mmsnap usage
        kubectl mmsnap usage -o json
    """
    told = _usage(fresh)
    if output is Format.JSON:
        print_json({"time": told.seen.isoformat(), "nodes": told.nodes})
    else:
        print_table(_NODES, told.nodes)
    _warn(told)


def show_usage(
    node: Annotated[str, typer.Option("--node", metavar="N", help="The node.")],
    fresh: Fresh = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what the pool of one node holds, and for whom, the largest first.

    \b
    Example:
        kubectl mmsnap show-usage --node n1
    """
    told = _usage(fresh)
    found = next((one for one in told.nodes if one["name"] == node), None)
    if found is None:
        known = ", ".join(one["name"] for one in told.nodes) or "none"
        raise NotFoundError(
            f"node {node} has no agent", subject=node, hint=f"nodes with one: {known}"
        )
    if output is Format.JSON:
        print_json(found)
    else:
        print_facts(_facts(found))
        if found.get("regions"):
            typer.echo()
            print_table(_REGIONS, found["regions"])
        if found.get("regionsLeftOut"):
            typer.echo(f"and {found['regionsLeftOut']} smaller ones")
    _warn(told)


def _usage(fresh: bool) -> Usage:
    if not fresh:
        return usage_of(cluster())
    with working("waiting for the next figures"):
        return next_usage_of(cluster(), _FRESH_SECONDS)


def _facts(node: Row) -> list[tuple[str, str]]:
    if node.get("unreachable"):
        return [("node", node["name"]), ("unreachable", node["unreachable"])]
    return [
        ("node", node["name"]),
        ("pool", node.get("pool", "-")),
        ("size", _size(node, "sizeBytes")),
        ("used", _size(node, "usedBytes")),
        ("free", _size(node, "freeBytes")),
    ]


def _size(row: Row, field: str) -> str:
    return format_size(row[field]) if field in row else "-"


def _warn(told: Usage) -> None:
    if told.remark:
        typer.echo(f"kubectl mmsnap: {told.remark}", err=True)


_NODES: Final = (
    Column[Row]("NODE", lambda one: one["name"]),
    Column[Row]("SIZE", lambda one: _size(one, "sizeBytes"), numeric=True),
    Column[Row]("USED", lambda one: _size(one, "usedBytes"), numeric=True),
    Column[Row]("FREE", lambda one: _size(one, "freeBytes"), numeric=True),
    Column[Row]("MEMBERS", lambda one: str(one.get("memberCount", "-")), numeric=True),
    Column[Row](
        "POOL",
        lambda one: (
            f"unreachable: {one['unreachable']}" if one.get("unreachable") else one.get("pool", "-")
        ),
    ),
)
_REGIONS: Final = (
    Column[Row]("GROUP", lambda one: one.get("group") or "-"),
    Column[Row]("MEMBER", lambda one: one.get("member") or "-"),
    Column[Row]("USED", lambda one: _size(one, "usedBytes"), numeric=True),
    Column[Row]("CHECKPOINTS", lambda one: str(one.get("checkpointCount", "-")), numeric=True),
)
