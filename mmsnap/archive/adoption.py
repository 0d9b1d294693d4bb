"""Members that are being made from a copy: whole at the end, or gone again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mmsnap.archive.header import EPOCH, RegionHeader
from mmsnap.errors import CorruptionError
from mmsnap.memory import Region
from mmsnap.process.manifest import Part, member_folder


class Adoption:
    """The members of a new group in a pool. Made by `adopting`."""

    def __init__(self, pool: Path, group: str) -> None:
        self._pool = pool
        self._group = group
        self.parts: dict[str, Part] = {}
        self.regions: dict[str, Region] = {}
        self._headers: dict[str, RegionHeader] = {}

    def add_part(self, member: str) -> Part:
        """An empty part for a program; FileExistsError."""
        part = Part(member_folder(self._pool, self._group, member), EPOCH)
        if part.folder.exists():
            raise FileExistsError(f"{part.folder} is there already")
        part.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.parts[member] = part
        return part

    def add_region(self, member: str, header: RegionHeader) -> Region:
        """A region of zeros to be filled; FileExistsError, PoolFullError."""
        name = f"{self._group}.{member}"
        region = Region.open(self._pool, name, mode="x", size_bytes=header.size_max_bytes)
        self.regions[member] = region
        self._headers[member] = header
        region.grow(header.extent_bytes)
        return region

    def complete(self, checkpoint: str) -> None:
        """Checks and seals every part, and takes the checkpoint of every region."""
        for part in self.parts.values():
            part.seal(replace(part.verify(), epoch=EPOCH))
        for member, region in self.regions.items():
            header = self._headers[member]
            region.partial = header.partial
            taken = region.checkpoint(checkpoint, meta=header.meta)
            if taken.epoch != EPOCH:
                raise CorruptionError(f"region {region.name} had checkpoints already")
            region.close()

    def undo(self) -> None:
        """Nothing of it remains."""
        for region in self.regions.values():
            region.close()
        for member in (*self.parts, *self.regions):
            remove_member(self._pool, self._group, member)


def remove_member(pool: Path, group: str, member: str) -> None:
    """Removes all of a member that was made here, and that no catalog knows."""
    shutil.rmtree(member_folder(pool, group, member), ignore_errors=True)
    shutil.rmtree(pool / "regions" / f"{group}.{member}", ignore_errors=True)


@contextmanager
def adopting(pool: Path, group: str) -> Iterator[Adoption]:
    """Members that are gone again if the `with` ends by an exception."""
    adoption = Adoption(pool, group)
    try:
        yield adoption
    except BaseException:
        adoption.undo()
        raise
