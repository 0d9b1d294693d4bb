"""What happens to a group when a member's connection ends without a word.

A loss is noted in the catalog with the number of the operation it fell into. By
default it is owed to the others that they return to the head; a restore of that
number or a later one pays it, whoever asked for it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Final

from mmsnap.catalog import GroupRecord, MemberRecord, MemberState, OnLoss
from mmsnap.errors import FencedError, MmsnapError
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.perform import Participant
from mmsnap.node.seats import Seat

log = logging.getLogger(__name__)

# A survivor may sit in a long update; after this many tries its loss stays owed
# until the lost member comes back.
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.5


def is_owed(row: MemberRecord, group: GroupRecord) -> bool:
    """Whether the others still have to return to the head for the loss of this member."""
    return (
        row.state is MemberState.LOST
        and row.on_loss is OnLoss.ROLLBACK
        and group.head_epoch is not None
        and group.restore_epoch < row.lost_epoch
    )


async def seat_ended(group: LiveGroup, seat: Seat, said_bye: bool, epoch: int) -> None:
    """A seat's connection is gone: note it, and do what its member's on_loss says."""
    group.tell("left" if said_bye else "lost", member=seat.name)
    for _ in range(_TRIES):
        try:
            async with group.turn(settled=not said_bye):
                if group.seats.get(seat.name) is not None:
                    return  # somebody has its place already
                if said_bye:
                    await _put(group, replace(seat.member, state=MemberState.LEFT))
                    return
                await note_loss(group, seat.member, epoch, behind=seat.behind)
            async with group.whole_turn() as seats:
                await pay(group, seats)
                return
        except MmsnapError as error:
            if isinstance(error, FencedError):
                return  # it lives elsewhere by now
            log.warning("its end: %s", error, extra=group.about(epoch=epoch, member=seat.name))
        await asyncio.sleep(_PAUSE_SECONDS)
    about = group.about(epoch=epoch, member=seat.name)
    log.error("its end was not dealt with", extra=about)


async def note_loss(
    group: LiveGroup, member: MemberRecord, epoch: int, *, behind: bool = False
) -> None:
    """Write the loss down; `epoch` is the operation it fell into, or 0. Needs the turn.

    Of one that was `behind` the others have nothing: they were restored since.
    """
    ledger = group.desk.ledger
    if member.on_loss is OnLoss.FRESH:
        await ledger.ask(ledger.catalog.drop_member, group.name, member.name)
        return
    record = await ledger.ask(ledger.catalog.group, group.name)
    lost_epoch = record.restore_epoch if behind else epoch or record.next_epoch
    await _put(group, replace(member, state=MemberState.LOST, lost_epoch=lost_epoch))


async def pay(group: LiveGroup, seats: list[Participant]) -> None:
    """Return to the head if that is owed. Needs the whole turn, with these in their seats."""
    ledger = group.desk.ledger
    record = await ledger.ask(ledger.catalog.group, group.name)
    rows = await ledger.ask(ledger.catalog.members, group.name)
    owed = [row.name for row in rows if is_owed(row, record)]
    if not owed:
        return
    log.warning("lost, back to the head", extra=group.about(member=", ".join(owed)))
    head = await ledger.ask(ledger.catalog.find, group.name, "latest")
    with group.desk.metrics.operation("roll_back"):
        await group.roll_back(head, seats)


async def _put(group: LiveGroup, member: MemberRecord) -> None:
    ledger = group.desk.ledger
    await ledger.ask(ledger.catalog.put_member, member)
