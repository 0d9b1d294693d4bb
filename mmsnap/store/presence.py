"""Which checkpoints of a member a pool has the bytes of, whatever the catalog says of them."""

from __future__ import annotations

from pathlib import Path

from mmsnap.catalog import EngineKind
from mmsnap.errors import CorruptionError, MmsnapError, NotFoundError
from mmsnap.memory import Region
from mmsnap.process.manifest import FOLDER as PROGRAMS
from mmsnap.process.manifest import Part, member_folder
from mmsnap.store.part_name import region_name


def epochs_here(pool: Path, group: str, member: str, engine: EngineKind) -> list[int]:
    """Ascending. A region whose journal can not be read has none. Blocks."""
    if engine is EngineKind.PROCESS:
        return _epochs_of_program(member_folder(pool, group, member))
    try:
        region = Region.open(pool, region_name(group, member), mode="r")
    except (NotFoundError, CorruptionError):
        return []
    try:
        return [record.epoch for record in region.checkpoints()]
    finally:
        region.close()


def _epochs_of_program(folder: Path) -> list[int]:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    epochs = sorted(int(name) for name in names if name.isdecimal())
    return [epoch for epoch in epochs if Part(folder, epoch).exists]


def checkpoints_here(pool: Path) -> int:
    """How many parts of checkpoints a pool has, of whomever; what can not be read counts as one.

    Blocks.
    """
    count = sum(map(len, map(_epochs_of_program, _folders(pool / PROGRAMS))))
    for folder in _folders(pool / "regions"):
        if not (folder / "region").exists():
            continue
        try:
            region = Region.open(pool, folder.name, mode="r")
        except MmsnapError:
            count += 1
            continue
        try:
            count += len(region.checkpoints())
        finally:
            region.close()
    return count


def _folders(above: Path) -> list[Path]:
    return sorted(path for path in above.iterdir() if path.is_dir()) if above.is_dir() else []
