"""`mmsnap node …`: getting a machine ready, and what becomes of the nodes of a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.node_check import check, clear
from mmsnap.cli.node_prepare import prepare
from mmsnap.cli.options import Address
from mmsnap.cli.output import Column, Format, Output, print_json, print_table

commands = typer.Typer(
    no_args_is_help=True, help="Get a machine ready; nodes of a cluster.", rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="NODE", help="Its name.")]


commands.command()(prepare)
commands.command()(check)
commands.command()(clear)


@commands.command("list")
def list_(output: Output = Format.TABLE, address: Address = None) -> None:
    """List the nodes of the service's cluster.

    \b
    Example:
        mmsnap node list
    """
    from dataclasses import asdict

    from mmsnap.cli.service import connected
    from mmsnap_sdk.service_records import Node

    with connected(address) as client:
        nodes = client.nodes()
    if output is Format.JSON:
        print_json([asdict(node) for node in nodes])
        return
    columns = [
        Column[Node]("NODE", lambda node: node.name),
        Column[Node]("ADDRESS", lambda node: node.address),
        Column[Node]("STATE", lambda node: "down" if node.down else ""),
    ]
    print_table(columns, nodes)


@commands.command()
def down(
    node: Name,
    force: Annotated[
        bool, typer.Option(help="You know that the machine is off, though nothing proves it.")
    ] = False,
    yes: Yes = False,
    address: Address = None,
) -> None:
    """Say that a node does not run, so that its members can be restored on others.

    A node that answers is not taken for down. One that does not may still run its members, cut off
    from the rest: started elsewhere there would be two of each, both writing to the world, until
    that node is back and ends its own. The service's --fence-command proves that it is off;
    without one you vouch for it with --force.

    \b
    Example:
        mmsnap node down n2 --force
    """
    from mmsnap.cli.service import connected

    confirm(f"Take node {node} for down, and its members for lost?", yes=yes)
    with connected(address) as client:
        client.declare_node_down(node, force=force)
    typer.echo(f"{node} is down: start its members elsewhere, under the same names")


@commands.command()
def remove(node: Name, yes: Yes = False, address: Address = None) -> None:
    """Forget a node that is down for good; what it had copies of is copied anew.

    \b
    Example:
        mmsnap node remove n2
    """
    from mmsnap.cli.service import connected

    confirm(f"Forget node {node}, and what it has?", yes=yes)
    with connected(address) as client:
        client.remove_node(node)
    typer.echo(f"{node} is forgotten")
