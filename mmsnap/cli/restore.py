"""`mmsnap restore`: bring a group, or a region of a pool, back to a checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.options import Address, Pool, RegionName
from mmsnap.cli.progress import working
from mmsnap.cli.selection import CheckpointName, Group, positions, selected


def restore(
    group: Group = None,
    checkpoint: CheckpointName = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it can work; change nothing.")
    ] = False,
    yes: Yes = False,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Go back to a checkpoint, by default to the latest.

    All members of a group do, or none. Those that run go back in place, where they are; those that
    do not start from it. Unmodified programs are checked first, before anything of them is ended;
    if some of them do not run, the group is restored when they have been started. With --pool no
    program may have the region open; the next one to open it starts from there. What came after
    the checkpoint is no longer shown, but its checkpoints stay.

    \b
    Examples:
        mmsnap restore shop before-upgrade
        mmsnap restore @41 --pool ./pool --region counter --yes
    """
    group, checkpoint = positions(group, checkpoint, pool)
    with selected(group, pool, region, address, writing=True) as checkpoints:
        found = checkpoints.find(checkpoint or "latest").checkpoint
        if check:
            with working(f"checking {checkpoints.owner}"):
                checkpoints.check(f"@{found.epoch}")
            typer.echo(f"{checkpoints.owner} can be restored to {found.name} @{found.epoch}")
            return
        confirm(
            f"Bring {checkpoints.owner} back to {found.name}? What was done since is lost.",
            yes=yes,
            without_terminal=True,
        )
        with working(f"restoring {checkpoints.owner}"):
            awaited = checkpoints.restore(f"@{found.epoch}")
    if awaited:
        typer.echo(
            f"{checkpoints.owner} will be at {found.name} @{found.epoch} as soon as "
            f"{', '.join(awaited)} has been started with `mmsnap run`"
        )
    else:
        typer.echo(f"{checkpoints.owner} is at {found.name} @{found.epoch}")
