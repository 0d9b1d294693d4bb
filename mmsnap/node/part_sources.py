"""From where a member's part of a checkpoint is had, and how it is told that it can not be.

Who has which copy, and who makes them, is in `replicas`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from mmsnap.catalog import NodeRecord
from mmsnap.catalog.durability import holding
from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.node.logs import about
from mmsnap.store import PartName

log = logging.getLogger(__name__)


async def take_from_any(
    part: PartName,
    names: tuple[str, ...],
    nodes: Mapping[str, NodeRecord],
    taker: str,
    take: Callable[[str], Awaitable[None]],
) -> None:
    """Has a part taken from the first that gives it: one may be silent, or its copy rotten."""
    failure: MmsnapError = lost(part, names)
    for node in holding(names, nodes):
        if node == taker:
            continue
        try:
            await take(node)
            return
        except MmsnapError as error:
            log.warning("could not be fetched: %s", error, extra=about_part(part, node))
            failure = error
    raise failure


def about_part(part: PartName, peer: str = "") -> dict[str, str | int]:
    return about(part.group, part.epoch, member=part.member, peer=peer, phase="replicate")


def lost(part: PartName, names: tuple[str, ...]) -> NotFoundError:
    where = f"it is on {', '.join(names)} only" if names else "no node has it any more"
    return NotFoundError(
        f"{part} can not be had: {where}",
        subject=f"@{part.epoch}",
        hint="bring that node back, or restore the group to a checkpoint with replicas "
        "(mmsnap checkpoint list shows what is replicated)",
    )
