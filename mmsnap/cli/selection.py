"""Which checkpoints a command is about: from `G C`, or from `C` and `--pool DIR [--region R]`.

The positional arguments mean less when a pool is named; here that is sorted out, and what is
missing or too much becomes a usage error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mmsnap.cli.checkpoints import Checkpoints, Entry

Group = Annotated[
    str | None,
    typer.Argument(metavar="G", help="The group; left out with --pool.", show_default=False),
]
CheckpointName = Annotated[
    str | None,
    typer.Argument(metavar="C", help="Its name, latest, or @EPOCH.", show_default=False),
]


def positions(
    first: str | None, second: str | None, pool: Path | None
) -> tuple[str | None, str | None]:
    """The group and the checkpoint among two positional arguments.

    Raises:
        typer.BadParameter: a pool is named, and a group as well.
    """
    if pool is None:
        return first, second
    _refuse_group(second)
    return None, first


def required(value: str | None, metavar: str) -> str:
    """An argument that must be there.

    Raises:
        typer.BadParameter: it is not.
    """
    if value is None:
        raise typer.BadParameter("missing", param_hint=metavar)
    return value


@contextmanager
def selected(
    group: str | None,
    pool: Path | None,
    region: str | None,
    address: str | None,
    *,
    writing: bool = False,
) -> Iterator[Checkpoints]:
    """The checkpoints of a group of the service, or of a region of a pool.

    Args:
        writing: they are to be changed, so a region is opened as its owner; else for reading
            only, which a live owner does not notice.

    Raises:
        typer.BadParameter: neither a group nor a pool is named, or the pool has several regions.
    """
    with ExitStack() as opened:
        checkpoints: Checkpoints
        if pool is not None:
            from mmsnap.cli.region import open_region

            _refuse_group(group)
            checkpoints = opened.enter_context(open_region(pool, region, writing=writing))
        else:
            from mmsnap.cli.service import GroupCheckpoints, connected

            refuse_region(region)
            client = opened.enter_context(connected(address))
            checkpoints = GroupCheckpoints(client, required(group, "G"))
        yield checkpoints


def all_entries(
    group: str | None, pool: Path | None, region: str | None, address: str | None
) -> list[Entry]:
    """The checkpoints of a group or of all, of a region or of all regions of a pool."""
    if pool is not None:
        from mmsnap.cli.region import open_region, region_names

        _refuse_group(group)
        entries: list[Entry] = []
        for name in region_names(pool, region):
            with open_region(pool, name, writing=False) as checkpoints:
                entries += checkpoints.entries()
        return entries
    from mmsnap.cli.service import connected, group_entries

    refuse_region(region)
    with connected(address) as client:
        return group_entries(client, group)


def refuse_region(region: str | None) -> None:
    """`--region` means nothing where no pool is named: a usage error."""
    if region is not None:
        raise typer.BadParameter("it needs --pool DIR", param_hint="--region")


def _refuse_group(group: str | None) -> None:
    if group is not None:
        raise typer.BadParameter("--pool DIR takes the place of the group", param_hint="G")
