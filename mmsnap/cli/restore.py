"""`mmsnap restore`: bring a group, or a region of a pool, back to a checkpoint."""

from __future__ import annotations

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.options import Address, Pool, RegionName
from mmsnap.cli.progress import working
from mmsnap.cli.selection import CheckpointName, Group, positions, selected


def restore(
    group: Group = None,
    checkpoint: CheckpointName = None,
    yes: Yes = False,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Go back to a checkpoint, by default to the latest.

    All members of a group do, or none. Those that run go back in place, where they are; those
    that do not start from it. With --pool no program may have the region open; the next one to
    open it starts from there. What came after the checkpoint is no longer shown, but its
    checkpoints stay.

    \b
    Examples:
        mmsnap restore shop before-upgrade
        mmsnap restore @41 --pool ./pool --region counter --yes
    """
    group, checkpoint = positions(group, checkpoint, pool)
    with selected(group, pool, region, address, writing=True) as checkpoints:
        found = checkpoints.find(checkpoint or "latest").checkpoint
        confirm(
            f"Bring {checkpoints.owner} back to {found.name}? What was done since is lost.",
            yes=yes,
            without_terminal=True,
        )
        with working(f"restoring {checkpoints.owner}"):
            checkpoints.restore(f"@{found.epoch}")
    typer.echo(f"{checkpoints.owner} is at {found.name} @{found.epoch}")
