"""A checkpoint held open for copying: its programs' parts standing alone, its regions for reading.

Opening is quick (files are linked, regions are mapped) and belongs inside the group's turn; the
copying may take its time afterwards, whatever happens to the checkpoint meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmsnap.archive.header import EPOCH, Header, RegionHeader
from mmsnap.catalog import EngineKind, GroupCheckpoint
from mmsnap.memory import Region
from mmsnap.process.manifest import Part, member_folder
from mmsnap.process.parts import copy_part


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is to copy, by member."""

    header: Header
    parts: dict[str, Part]
    regions: dict[str, Region]

    @property
    def size_bytes(self) -> int:
        """What is copied, about."""
        parts = sum(part.size_bytes() for part in self.parts.values())
        return parts + sum(region.extent_bytes for region in self.header.regions.values())

    def renamed(self, members: Mapping[str, str]) -> Contents:
        """The same with other names for these members; NotFoundError, ValueError."""
        return Contents(
            self.header.renamed(members),
            {members.get(member, member): part for member, part in self.parts.items()},
            {members.get(member, member): region for member, region in self.regions.items()},
        )


@contextmanager
def open_contents(pool: Path, checkpoint: GroupCheckpoint, staging: Path) -> Iterator[Contents]:
    """The checkpoint's contents until the `with` ends; `staging` is a new folder of the pool.

    Raises:
        NotFoundError, CorruptionError: a member's part is lost or damaged.
        PoolFullError: the pages of a program's older checkpoints have no room beside themselves.
    """
    parts, regions = {}, {}
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, staging, ignore_errors=True)
        for figures in checkpoint.members:
            member = figures.member
            if figures.engine is EngineKind.PROCESS:
                parts[member] = Part(staging / member, EPOCH)
                source = Part(member_folder(pool, checkpoint.group, member), checkpoint.epoch)
                copy_part(source, parts[member])
            else:
                name = f"{checkpoint.group}.{member}"
                regions[member] = Region.open(pool, name, mode="r", head=checkpoint.epoch)
                opened.callback(regions[member].close)
        headers = {m: _header(region, checkpoint.epoch) for m, region in regions.items()}
        yield Contents(Header(checkpoint, headers), parts, regions)


def _header(region: Region, epoch: int) -> RegionHeader:
    record = region.find(f"@{epoch}")
    return RegionHeader(
        size_max_bytes=region.size_max_bytes,
        extent_bytes=region.extent_bytes,
        meta=record.meta,
        partial=record.partial,
    )
