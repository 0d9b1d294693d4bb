"""The restore of a group by the agents, asked for once and followed to its end.

The operation that moved the group's head last is written down before; when it is another one and
the checkpoint is the head, the restore has happened. So an operator that died in between neither
restores a second time what has run on meanwhile, nor takes what was before for done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from mmsnap.errors import AbortedError, NotFoundError
from mmsnap_operator.requests.site import Site
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Move:
    """Where a group is to be, and where it was.

    Attributes:
        before: `restore_epoch` of the group before anything was asked.
    """

    group: str
    epoch: int
    before: int

    def is_done(self, shown: GroupCheckpoint) -> bool:
        """Whether the group has been there since."""
        return shown.head and not shown.pending and shown.restore_epoch > self.before


async def look(site: Site, group: str, epoch: int) -> GroupCheckpoint:
    """The checkpoint as it is now, and what its group does; NotFoundError."""
    return await site.agents.ask(lambda client: client.find(group, f"@{epoch}"))


async def ask(site: Site, move: Move) -> tuple[str, ...]:
    """Ask for it, unless it is done or waits already; the members that it waits for.

    Raises AbortedError when the members run on as before.
    """
    shown = await look(site, move.group, move.epoch)
    if move.is_done(shown) or shown.pending:
        return ()
    try:
        restored = await site.agents.once(
            lambda client: client.restore(move.group, f"@{move.epoch}")
        )
    except AbortedError:
        # It may have come so far that the programs ended, and wait to be started again.
        if (await look(site, move.group, move.epoch)).pending:
            return ()
        raise
    if restored.behind:
        log.info("%s: %s attach again", move.group, ", ".join(restored.behind))
    return restored.awaited


async def absent(site: Site, group: str, wanted: tuple[str, ...]) -> list[str]:
    """Those of these members that are not attached."""
    try:
        known = await site.agents.ask(lambda client: client.members(group))
    except NotFoundError:
        known = []
    attached = {one.member for one in known if one.state == "attached"}
    return [name for name in wanted if name not in attached]
