"""The regions of a pool, handled without their members: deleting and checking.

A member that is attached owns its region; it is asked over its line, or its
region is only read. Everything here blocks and runs on a thread.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mmsnap.errors import InUseError, MmsnapError, NotFoundError
from mmsnap.memory import CheckpointRecord, Region
from mmsnap.node.logs import about

log = logging.getLogger(__name__)

_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.1


def checkpoints_besides_head(pool: Path, region: str) -> list[CheckpointRecord]:
    """What a region has besides its head, which can not be deleted; its owner may have it open."""
    try:
        reader = Region.open(pool, region, mode="r")
    except NotFoundError:
        return []
    try:
        head = reader.head
        return [r for r in reader.checkpoints() if head is None or r.epoch != head.epoch]
    finally:
        reader.close()


def remove(pool: Path, region: str) -> None:
    """Removes a region that nobody has open, and all it has; InUseError."""
    Region.open(pool, region, mode="r+", decide=lambda epoch: False).close()
    shutil.rmtree(pool / "regions" / region)


def delete_checkpoints(
    pool: Path, region: str, gone: list[CheckpointRecord], decide: Callable[[int], bool]
) -> None:
    """Delete checkpoints of a region that nobody has open.

    The catalog has forgotten them already, so a failure only leaves bytes behind,
    which the member deletes when it attaches.
    """
    try:
        opened = Region.open(pool, region, mode="r+", decide=decide)
    except MmsnapError as error:
        log.warning("its region keeps bytes: %s", error, extra=_about(region))
        return
    try:
        for record in gone:
            if record.pinned:  # the catalog's mark is the one that counts, and is gone
                opened.pin(record.epoch, False)
            opened.delete(record.epoch)
    except (MmsnapError, ValueError) as error:
        log.warning("its region keeps bytes: %s", error, extra=_about(region))
    finally:
        opened.close()


def _about(region: str) -> dict[str, str | int]:
    group, _, member = region.partition(".")
    return about(group, 0, member=member)


def verify_checkpoint(pool: Path, region: str, epoch: int, decide: Callable[[int], bool]) -> None:
    """Read everything that a checkpoint of a region stands on; CorruptionError names damage."""
    for _ in range(_TRIES):
        try:
            _verify(pool, region, epoch)
            return
        except NotFoundError:
            # Sealed, but not known there yet: a dead member's next owner asks the catalog, a
            # live member hears of the commit in a moment.
            _settle(pool, region, decide)
    _verify(pool, region, epoch)


def _settle(pool: Path, region: str, decide: Callable[[int], bool]) -> None:
    try:
        Region.open(pool, region, mode="r+", decide=decide).close()
    except InUseError:
        time.sleep(_PAUSE_SECONDS)


def _verify(pool: Path, region: str, epoch: int) -> None:
    reader = Region.open(pool, region, mode="r", head=epoch)
    try:
        reader.verify(epoch)
    finally:
        reader.close()
