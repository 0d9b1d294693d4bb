"""The regions of a pool, handled without their members: deleting and checking.

A member that is attached owns its region; it is asked over its line, or its
region is only read. Everything here blocks and runs on a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.memory import Region

log = logging.getLogger(__name__)


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
