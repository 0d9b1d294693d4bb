"""What the regions of a pool take, of its medium and of their members' own memory.

Blocks; runs on a thread. A region is looked at as any reader does, beside its owner.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.memory import Region, regions
from mmsnap.process import manifest

_ANONYMOUS = re.compile(rb"^Anonymous:\s+(\d+) kB$")


@dataclass(frozen=True, slots=True)
class RegionWeight:
    """Bytes of one region: `private_bytes` of its process, the others of the medium."""

    used_bytes: int
    base_bytes: int
    log_bytes: int
    delta_bytes: int
    private_bytes: int


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """The medium under a pool, and what each region takes, in bytes."""

    size_bytes: int
    free_bytes: int
    regions: dict[str, RegionWeight]


def pool_usage(pool: Path, pids: Mapping[str, int]) -> PoolUsage:
    """Weighs every region of the pool; `pids` are the processes that have some of them open."""
    medium = os.statvfs(pool)
    try:
        names = regions(pool)
    except NotFoundError:
        names = []  # no region was ever made in it
    return PoolUsage(
        size_bytes=medium.f_blocks * medium.f_frsize,
        free_bytes=medium.f_bavail * medium.f_frsize,
        # A pod's member has both folders, for whatever it turns out to be.
        regions={name: _weigh(pool, name, pids.get(name)) for name in names}
        | {
            folder.name: _weigh_program(folder)
            for folder in (pool / manifest.FOLDER).glob("*")
            if folder.name not in names and any(folder.iterdir())
        },
    )


def used_bytes(pool: Path) -> int:
    """What everything in the pool's regions and programs takes of its medium."""
    return _allocated_bytes(pool / "regions") + _allocated_bytes(pool / manifest.FOLDER)


def _weigh(pool: Path, name: str, pid: int | None) -> RegionWeight:
    folder = pool / "regions" / name
    used_bytes = _allocated_bytes(folder)
    private_bytes = 0 if pid is None else _private_bytes(pid, folder / "base")
    try:
        reader = Region.open(pool, name, mode="r")
    except MmsnapError:
        # Damaged, or being made: its files still take room.
        return RegionWeight(used_bytes, 0, 0, 0, private_bytes)
    try:
        usage = reader.usage()
    finally:
        reader.close()
    return RegionWeight(
        used_bytes, usage.base_bytes, usage.log_bytes, usage.delta_bytes, private_bytes
    )


def _weigh_program(folder: Path) -> RegionWeight:
    """What the parts of an unmodified program take; the newest stands for its memory."""
    parts = {
        int(path.name): _allocated_bytes(path) for path in folder.iterdir() if path.name.isdecimal()
    }
    used_bytes = _allocated_bytes(folder)
    newest_bytes = parts[max(parts)] if parts else 0
    return RegionWeight(used_bytes, newest_bytes, 0, sum(parts.values()) - newest_bytes, 0)


def _allocated_bytes(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # a log was released while we counted
    return total


def _private_bytes(pid: int, base: Path) -> int:
    """Pages that a process has of its own over its mapping of the base; 0 when it is gone."""
    total, is_base = 0, False
    try:
        found_base = base.stat()
        device = f"{os.major(found_base.st_dev):02x}:{os.minor(found_base.st_dev):02x}"
        mark = f" {device} {found_base.st_ino} ".encode()  # in a container its path is another
        with open(f"/proc/{pid}/smaps", "rb") as maps:
            for line in maps:
                if b"-" in line.split(b" ", 1)[0]:
                    is_base = mark in line
                elif is_base and (found := _ANONYMOUS.match(line.rstrip())):
                    total += int(found[1]) * 1024
    except OSError:
        return 0
    return total
