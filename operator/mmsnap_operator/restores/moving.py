"""The restore of a group by the agents, asked for once and followed to its end.

The operation that moved the group's head last is written down before; when it is another one and
the group was at the checkpoint then, the restore has happened. So an operator that died in between
neither restores a second time what has run on meanwhile, nor takes what was before for done.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mmsnap.errors import AbortedError, BusyError, NotFoundError
from mmsnap_operator.requests.failures import refusal_of
from mmsnap_operator.requests.site import Site
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)


class RanOn(Refused):
    """A restore was aborted, or would be: the members run on as before."""

    def __init__(self, error: AbortedError) -> None:
        why = refusal_of(error)
        super().__init__(why.reason, why.message, lasting=why.lasting)


@dataclass(frozen=True, slots=True)
class Move:
    """Where a group is to be, and where it was.

    Attributes:
        before: `restore_epoch` of the group before anything was asked.
    """

    group: str
    epoch: int
    before: int

    def has_ended(self, shown: GroupCheckpoint) -> bool:
        """Whether the group was moved since, and waits for nobody."""
        return not shown.pending and shown.restore_epoch > self.before

    def is_done(self, shown: GroupCheckpoint, taken: Sequence[GroupCheckpoint] = ()) -> bool:
        """Whether the group has been there since.

        Args:
            taken: the group's checkpoints. One that was taken since is the head instead.
        """
        return self.has_ended(shown) and (shown.head or self._is_below(taken, shown.restore_epoch))

    def _is_below(self, taken: Sequence[GroupCheckpoint], moved: int) -> bool:
        since = [one for one in taken if one.epoch > moved]
        first = min(since, key=lambda one: one.epoch, default=None)
        if first is None or first.parent is None:
            return False
        # The first one since may be pruned. To restore again would throw away what came since.
        return first.parent == self.epoch or first.parent > moved


async def look(site: Site, group: str, epoch: int) -> GroupCheckpoint:
    """The checkpoint as it is now, and what its group does; NotFoundError."""
    return await site.agents.ask(lambda client: client.find(group, f"@{epoch}"))


async def is_done(site: Site, move: Move) -> bool:
    """See `Move.is_done`."""
    shown = await look(site, move.group, move.epoch)
    if shown.head or not move.has_ended(shown):
        return move.is_done(shown)
    return move.is_done(shown, await site.agents.ask(lambda client: client.checkpoints(move.group)))


async def ask(site: Site, move: Move) -> bool:
    """Ask for it, unless it is done or waits already; whether it has happened.

    Raises RanOn when it was aborted.
    """
    return await is_done(site, move) or await ask_anew(site, move)


async def ask_anew(site: Site, move: Move) -> bool:
    """The same, also when the group has been there since the request began."""
    if (await look(site, move.group, move.epoch)).pending:
        return False
    try:
        restored = await site.agents.once(
            lambda client: client.restore(move.group, f"@{move.epoch}")
        )
    except AbortedError as error:
        # It may have come so far that the programs ended, and wait to be started again.
        if (await look(site, move.group, move.epoch)).pending:
            return False
        raise _counted(error) from error
    if restored.behind:
        log.info("%s: %s attach again", move.group, ", ".join(restored.behind))
    return not restored.awaited


async def require_possible(site: Site, move: Move) -> None:
    """Let the members say whether they could be restored; RanOn, when one could not."""
    try:
        await site.agents.ask(lambda client: client.check_restore(move.group, f"@{move.epoch}"))
    except AbortedError as error:
        raise _counted(error) from error


async def absent(site: Site, group: str, wanted: tuple[str, ...]) -> list[str]:
    """Those of these members that are not attached."""
    try:
        known = await site.agents.ask(lambda client: client.members(group))
    except NotFoundError:
        known = []
    attached = {one.member for one in known if one.state == "attached"}
    return [name for name in wanted if name not in attached]


def _counted(error: AbortedError) -> Exception:
    """As an attempt that failed; what only waited for its turn was none."""
    return error if isinstance(error, BusyError) else RanOn(error)
