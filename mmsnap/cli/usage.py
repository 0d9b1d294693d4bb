"""`mmsnap usage`: what regions and their checkpoints take of a pool's medium."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mmsnap.cli.options import Address, Pool, RegionName
from mmsnap.cli.output import Column, Format, Output, print_facts, print_json, print_table
from mmsnap.cli.selection import refuse_region
from mmsnap.quantities import format_size

if TYPE_CHECKING:
    from mmsnap.memory import RegionUsage
    from mmsnap_sdk.service_records import NodeUsage, RegionShare


def usage(
    output: Output = Format.TABLE,
    pool: Pool = None,
    region: RegionName = None,
    address: Address = None,
) -> None:
    """Show what regions and their checkpoints take of the pool, or of the pools of all nodes.

    A region takes what its arrays need at once (the base), as much again in the process's own
    memory for what it has written (private), a log the size of what changes between checkpoints,
    and what older checkpoints need to be gone back to.

    \b
    Examples:
        mmsnap usage
        mmsnap usage --pool ./pool
    """
    if pool is not None:
        _show_pool(pool, region, output)
        return
    refuse_region(region)
    from mmsnap.cli.service import connected

    with connected(address) as client:
        used = client.usage()
    if output is Format.JSON:
        print_json(asdict(used))
        return
    if used.nodes:
        print_table(_node_columns(), used.nodes)
    else:
        room = f"{format_size(used.free_bytes)} of {format_size(used.size_bytes)} free"
        print_facts([("pool", used.pool), ("room", room)])
    print_table(_service_columns(with_nodes=bool(used.nodes)), used.regions)


def _show_pool(pool: Path, region: str | None, output: Format) -> None:
    from mmsnap.cli.region import region_names
    from mmsnap.memory import Region

    used: dict[str, RegionUsage] = {}
    for name in region_names(pool, region):
        opened = Region.open(pool, name, mode="r")
        used[name] = opened.usage()
        opened.close()
    if output is Format.JSON:
        print_json({name: asdict(figures) for name, figures in used.items()})
    else:
        print_table(_pool_columns(), list(used.items()))


def _node_columns() -> list[Column[NodeUsage]]:
    def size(told: NodeUsage, size_bytes: int) -> str:
        return "-" if told.unreachable else format_size(size_bytes)

    return [
        Column("NODE", lambda told: told.node),
        Column("SIZE", lambda told: size(told, told.size_bytes), numeric=True),
        Column("FREE", lambda told: size(told, told.free_bytes), numeric=True),
        Column(
            "POOL",
            lambda told: f"unreachable: {told.unreachable}" if told.unreachable else told.pool,
        ),
    ]


def _service_columns(*, with_nodes: bool) -> list[Column[RegionShare]]:
    nodes: list[Column[RegionShare]] = [Column("NODE", lambda share: share.node)]
    return [
        *(nodes if with_nodes else ()),
        Column("REGION", lambda share: share.region),
        Column("GROUP", lambda share: share.group),
        Column("MEMBER", lambda share: share.member),
        Column("USED", lambda share: format_size(share.used_bytes), numeric=True),
        Column("BASE", lambda share: format_size(share.base_bytes), numeric=True),
        Column("LOG", lambda share: format_size(share.log_bytes), numeric=True),
        Column("OLDER CHECKPOINTS", lambda share: format_size(share.delta_bytes), numeric=True),
        Column("PRIVATE", lambda share: format_size(share.private_bytes), numeric=True),
        Column("CHECKPOINTS", lambda share: str(share.checkpoint_count), numeric=True),
    ]


def _pool_columns() -> list[Column[tuple[str, RegionUsage]]]:
    return [
        Column("REGION", lambda row: row[0]),
        Column("SIZE AT MOST", lambda row: format_size(row[1].size_max_bytes), numeric=True),
        Column("BASE", lambda row: format_size(row[1].base_bytes), numeric=True),
        Column("LOG", lambda row: format_size(row[1].log_bytes), numeric=True),
        Column("OLDER CHECKPOINTS", lambda row: format_size(row[1].delta_bytes), numeric=True),
        Column("CHECKPOINTS", lambda row: str(row[1].checkpoint_count), numeric=True),
        Column("POOL FREE", lambda row: format_size(row[1].pool_free_bytes), numeric=True),
    ]
