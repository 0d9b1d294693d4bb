"""The regions of a pool, handled without their members: deleting, checking, weighing.

A member that is attached owns its region; it is asked over its line, or its
region is only read. Everything here blocks and runs on a thread.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.memory import Region, regions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """The medium under a pool, and what each region takes of it, in bytes."""

    size_bytes: int
    free_bytes: int
    regions: dict[str, int]


def region_name(group: str, member: str) -> str:
    """The region of a member in the service's pool."""
    return f"{group}.{member}"


def delete_checkpoint(pool: Path, region: str, epoch: int, decide: Callable[[int], bool]) -> None:
    """Delete a checkpoint of a region that nobody has open.

    The catalog has forgotten it already, so a failure only leaves bytes behind,
    which the member deletes when it attaches.
    """
    try:
        with_decision = Region.open(pool, region, mode="r+", decide=decide)
    except MmsnapError as error:
        log.warning("region %s keeps bytes of @%d: %s", region, epoch, error)
        return
    try:
        with_decision.delete(epoch)
    except NotFoundError:
        log.debug("region %s had no @%d", region, epoch)
    except MmsnapError as error:
        log.warning("region %s keeps bytes of @%d: %s", region, epoch, error)
    finally:
        with_decision.close()


def verify_checkpoint(pool: Path, region: str, epoch: int) -> None:
    """Read everything that a checkpoint of a region stands on; CorruptionError names damage."""
    reader = Region.open(pool, region, mode="r", head=epoch)
    try:
        reader.verify(epoch)
    finally:
        reader.close()


def pool_usage(pool: Path) -> PoolUsage:
    """What the regions of a pool take, by the blocks their files hold."""
    medium = os.statvfs(pool)
    try:
        names = regions(pool)
    except NotFoundError:
        names = []  # no region was ever made in it
    taken = {name: _allocated_bytes(pool / "regions" / name) for name in names}
    return PoolUsage(
        size_bytes=medium.f_blocks * medium.f_frsize,
        free_bytes=medium.f_bavail * medium.f_frsize,
        regions=taken,
    )


def _allocated_bytes(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # a log was released while we counted
    return total
