"""A new group in the same pool, whose members begin as those of a checkpoint were."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mmsnap.archive.adoption import adopting
from mmsnap.archive.contents import Contents
from mmsnap.process.parts import copy_part

CHUNK_BYTES: Final = 4 << 20


def clone_members(contents: Contents, pool: Path, group: str) -> None:
    """Copies every member into `group`, of which nothing may be there; all of them or none.

    Raises:
        FileExistsError: a member of that name is there already.
        PoolFullError: no room.
    """
    with adopting(pool, group) as adoption:
        for member, part in contents.parts.items():
            copy_part(part, adoption.add_part(member))
        for member, source in contents.regions.items():
            header = contents.header.regions[member]
            target = adoption.add_region(member, header)
            for at in range(0, header.extent_bytes, CHUNK_BYTES):
                size_bytes = min(CHUNK_BYTES, header.extent_bytes - at)
                target.memory(at, size_bytes)[:] = source.memory(at, size_bytes)
        adoption.complete(contents.header.checkpoint.name)
