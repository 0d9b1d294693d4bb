"""`mmsnap checkpoint ...`: take checkpoints, look at them, keep or delete them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmsnap.cli import transfer
from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.options import Address, MaxPause, Pool, RegionName, duration
from mmsnap.cli.output import Format, Output
from mmsnap.cli.progress import working
from mmsnap.cli.selection import CheckpointName, Group, all_entries, positions, required, selected

# As in mmsnap_sdk.checkpoint, which would load more than help needs.
Durability = Literal["captured", "durable", "replicated"]

commands = typer.Typer(
    help="Take checkpoints, look at them, keep or delete them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Wait = Annotated[
    Durability,
    typer.Option(
        help="Return when it survives: captured: the process; durable: the node's restart; "
        "replicated: the node."
    ),
]


@commands.command()
def create(
    group: Group = None,
    name: Annotated[
        str | None, typer.Option(metavar="C", help="By default made from time and epoch.")
    ] = None,
    max_pause: MaxPause = None,
    wait: Wait = "captured",
    replicas: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Copies on other nodes; by default as the service is told."
        ),
    ] = 0,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Take a checkpoint of all members of a group at one instant, or of none.

    With --pool, the head of a region that no program has open gets one more checkpoint, under the
    name you give it.

    \b
    Example:
        mmsnap checkpoint create shop --name before-upgrade --max-pause 50ms
    """
    from mmsnap.cli.checkpoint_table import describe

    with (
        selected(group, pool, region, address, writing=True) as checkpoints,
        working(f"checkpoint of {checkpoints.owner}") as told,
    ):
        created = checkpoints.create(
            name, wait=wait, max_pause=max_pause, replicas=replicas, told=told
        )
    typer.echo(describe(created))


@commands.command("list")
def list_(
    group: Group = None,
    output: Output = Format.TABLE,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """List the checkpoints of a group, of all groups, or of a pool, oldest first.

    \b
    Examples:
        mmsnap checkpoint list shop
        mmsnap checkpoint list --pool ./pool -o json
    """
    from mmsnap.cli.checkpoint_table import print_entries

    print_entries(all_entries(group, pool, region, address), output)


@commands.command()
def show(
    group: Group = None,
    checkpoint: CheckpointName = None,
    output: Output = Format.TABLE,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Show one checkpoint: its pause, its size, and each member's part in it.

    \b
    Examples:
        mmsnap checkpoint show shop latest
        mmsnap checkpoint show @41 --pool ./pool
    """
    from mmsnap.cli.checkpoint_table import print_entry

    group, checkpoint = positions(group, checkpoint, pool)
    with selected(group, pool, region, address) as checkpoints:
        entry = checkpoints.find(required(checkpoint, "C"))
    print_entry(entry, output)


@commands.command()
def wait(
    group: Group = None,
    checkpoint: CheckpointName = None,
    durability: Annotated[
        Durability, typer.Option(help="What it has to have reached.")
    ] = "durable",
    timeout: Annotated[
        str | None,
        typer.Option(parser=duration, metavar="DURATION", help="How long to wait at most."),
    ] = None,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Wait until a checkpoint has reached a durability.

    \b
    Example:
        mmsnap checkpoint wait shop before-upgrade --durability durable --timeout 30s
    """
    group, checkpoint = positions(group, checkpoint, pool)
    name = required(checkpoint, "C")
    with (
        selected(group, pool, region, address, writing=True) as checkpoints,
        working(f"waiting until {name} is {durability}"),
    ):
        checkpoints.wait(name, durability, timeout)


@commands.command()
def verify(
    group: Group = None,
    checkpoint: CheckpointName = None,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Read everything a checkpoint stands on, and check it.

    Exits with 5, naming each damaged file, when something is.

    \b
    Example:
        mmsnap checkpoint verify before-upgrade --pool ./pool
    """
    group, checkpoint = positions(group, checkpoint, pool)
    name = required(checkpoint, "C")
    with selected(group, pool, region, address) as checkpoints, working(f"reading {name}"):
        checkpoints.verify(name)
    typer.echo(f"{name}: whole")


@commands.command()
def delete(
    group: Group = None,
    checkpoint: CheckpointName = None,
    yes: Yes = False,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Delete a checkpoint for good. The head can not be deleted.

    \b
    Example:
        mmsnap checkpoint delete shop before-upgrade --yes
    """
    group, checkpoint = positions(group, checkpoint, pool)
    name = required(checkpoint, "C")
    with selected(group, pool, region, address, writing=True) as checkpoints:
        found = checkpoints.find(name).checkpoint
        confirm(f"Delete checkpoint {found.name} of {checkpoints.owner}?", yes=yes)
        checkpoints.delete(f"@{found.epoch}")
    typer.echo(f"deleted {found.name}")


@commands.command()
def pin(
    group: Group = None,
    checkpoint: CheckpointName = None,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Keep a checkpoint from being pruned.

    \b
    Example:
        mmsnap checkpoint pin shop @41
    """
    _set_pinned(group, checkpoint, True, pool, region, address)


@commands.command()
def unpin(
    group: Group = None,
    checkpoint: CheckpointName = None,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Let a checkpoint be pruned again.

    \b
    Example:
        mmsnap checkpoint unpin shop @41
    """
    _set_pinned(group, checkpoint, False, pool, region, address)


@commands.command()
def prune(
    group: Group = None,
    keep_last: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Keep the newest N automatic ones.")
    ] = None,
    keep_within: Annotated[
        str | None,
        typer.Option(parser=duration, metavar="DURATION", help='Keep what is younger, like "7d".'),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Delete automatic checkpoints by policy, and show them.

    Those you gave a name, those pinned, the head, and what a restore waits for stay.

    \b
    Example:
        mmsnap checkpoint prune shop --keep-last 10 --keep-within 7d --dry-run
    """
    if keep_last is None and keep_within is None:
        raise typer.BadParameter("say what to keep", param_hint="--keep-last / --keep-within")
    from mmsnap.cli.checkpoint_table import print_entries

    with selected(group, pool, region, address, writing=not dry_run) as checkpoints:
        gone = checkpoints.prune(keep_last, keep_within, dry_run=True)
        if output is Format.TABLE:
            print_entries(gone, output)
        if gone and not dry_run:
            confirm(f"Delete {len(gone)} checkpoints of {checkpoints.owner}?", yes=yes)
            gone = checkpoints.prune(keep_last, keep_within, dry_run=False)
    if output is Format.TABLE:
        typer.echo(f"{len(gone)} checkpoints {'would go' if dry_run else 'deleted'}")
    else:
        print_entries(gone, output)


commands.command()(transfer.export)
commands.command("import")(transfer.import_)


def _set_pinned(
    group: str | None,
    checkpoint: str | None,
    pinned: bool,
    pool: Path | None,
    region: str | None,
    address: str | None,
) -> None:
    group, checkpoint = positions(group, checkpoint, pool)
    with selected(group, pool, region, address, writing=True) as checkpoints:
        checkpoints.pin(required(checkpoint, "C"), pinned)
