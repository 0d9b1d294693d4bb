"""What is left of a pod that ended: memory without a checkpoint is worth nothing to anybody.

A region's base is its last applied checkpoint. Where there never was one, it holds what a new
region would, and only takes room. Whatever a checkpoint of the catalog needs stays.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import suppress
from typing import Final

from mmsnap.errors import InUseError, MmsnapError, NotFoundError
from mmsnap.node import regions
from mmsnap.node.groups import Groups
from mmsnap.node.upkeep import detach
from mmsnap.pods.pod import Pod
from mmsnap.process.manifest import FOLDER as PROCESSES
from mmsnap.store import region_name

log = logging.getLogger(__name__)

# From the end of a pod's last process until the service has noticed it.
_NOTICE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.2


async def release(groups: Groups, pod: Pod) -> None:
    """Drops the members that no checkpoint has, and their memory; what fails is told and stays."""
    for member in pod.members:
        try:
            await _release_member(groups, pod.group, member)
        except (MmsnapError, OSError) as error:
            log.warning("it keeps memory: %s", error, extra=groups.group(pod.group).about())


async def _release_member(groups: Groups, name: str, member: str) -> None:
    group, ledger = groups.group(name), groups.desk.ledger
    for _ in range(int(_NOTICE_SECONDS / _LOOK_SECONDS)):
        if group.seats.get(member) is None:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    else:
        raise InUseError(f"member {member} of group {name} is still attached", subject=member)
    listed = await ledger.ask(ledger.catalog.checkpoints, name)
    if any(part.member == member for checkpoint in listed for part in checkpoint.members):
        return
    with suppress(NotFoundError):  # it may never have attached
        await detach(group, member)
    await asyncio.to_thread(_remove, groups, region_name(name, member))


def _remove(groups: Groups, region: str) -> None:
    pool = groups.desk.pool
    try:
        regions.remove(pool, region)
    except NotFoundError:
        shutil.rmtree(pool / "regions" / region, ignore_errors=True)  # nothing was ever put there
    shutil.rmtree(pool / PROCESSES / region, ignore_errors=True)
