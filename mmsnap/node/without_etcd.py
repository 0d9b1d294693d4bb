"""What a node does without etcd: a member comes back, a group of this node is restored.

Both go by the mirror and write nothing but the mirror; `mirroring` tells etcd when it is back. What
would need somebody else is refused: members on other nodes would have to follow a restore, and that
it has happened could not be recorded for them. What is in doubt stays in doubt: a member that has
something sealed which the mirror does not know does not come back before etcd has said what it is.
Unmodified programs wait for etcd as well.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from mmsnap.catalog import (
    EngineKind,
    GroupCheckpoint,
    MemberRecord,
    MemberState,
    Mirrored,
    NoMajorityError,
    OnLoss,
)
from mmsnap.errors import AbortedError, InUseError, MmsnapError, NotFoundError
from mmsnap.memory import Region
from mmsnap.node.admission import Admission, Application, seat_of, take_seat
from mmsnap.node.desk import Restored
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.losses import is_owed
from mmsnap.node.mirror import Mirror
from mmsnap.store import epochs_here, region_name

log = logging.getLogger(__name__)


async def attach_without_etcd(
    group: LiveGroup, application: Application, silence: NoMajorityError
) -> Admission:
    """Give a process its seat by what the mirror knows.

    Raises:
        InUseError: the name is another live process's.
        AbortedError: it has to wait for etcd, and why.
    """
    async with group.turn(settled=not application.resuming):
        mirror, known = _known(group, silence)
        row = known.member(application.member)
        _require_own(mirror, known, row, application, silence)
        assert row is not None
        if not application.resuming:
            await _require_settled(group, known, application.member, silence)
            if _is_owed(known, row):
                await _pay(group, mirror, known, silence)
                known = mirror.groups()[group.name]
        seat = seat_of(group, application, known.record, row)
        if seat.behind:
            raise _waits(silence, f"member {seat.name} has to follow a restore that it missed")
        take_seat(group, seat, application)
        log.warning("comes back without etcd", extra=group.about(member=seat.name))
        return Admission(
            seat=seat,
            head=_head_of(group, known, application),
            restore_epoch=known.record.restore_epoch,
            committed_epochs=known.committed_epochs,
        )


async def restore_without_etcd(group: LiveGroup, name: str, silence: NoMajorityError) -> Restored:
    """Bring a group that is wholly on this node back to a checkpoint; AbortedError says why not."""
    async with group.turn(settled=True):
        mirror, known = _known(group, silence)
        _require_all_here(mirror, known, silence)
        target = known.find(name)
        for part in target.members:
            if part.engine is not EngineKind.MEMORY:
                raise _waits(silence, "unmodified programs are restored with it only")
            if group.seats.get(part.member) is None:
                await _require_settled(group, known, part.member, silence)
            pool, engine = group.desk.pool, part.engine
            here = await asyncio.to_thread(epochs_here, pool, group.name, part.member, engine)
            if target.epoch not in here:
                raise NotFoundError(
                    f"member {part.member}'s part of {target.name} is not on this node",
                    subject=f"@{target.epoch}",
                )
        with group.desk.metrics.operation("restore"):
            return await _roll_back(group, mirror, known, target)


async def _pay(group: LiveGroup, mirror: Mirror, known: Mirrored, silence: NoMajorityError) -> None:
    """The others return to the head with a member that was lost."""
    _require_all_here(mirror, known, silence)
    if group.seats.seated():
        with group.desk.metrics.operation("roll_back"):
            await _roll_back(group, mirror, known, known.find("latest"))


async def _roll_back(
    group: LiveGroup, mirror: Mirror, known: Mirrored, target: GroupCheckpoint
) -> Restored:
    seats = group.seats.seated()
    epoch = await mirror.take_number(group.name)

    async def record() -> None:
        await mirror.move(known, target.epoch, epoch)

    behind: tuple[str, ...] = ()
    if seats:
        operation = group.restore_operation(epoch, target, seats)
        what = f"restore @{epoch} of group {group.name} to {target.name}, without etcd"
        await group.perform(operation, seats, what, record=record)
        behind = tuple(sorted(operation.expelled))
    else:
        await record()
    group.tell("restored", epoch=target.epoch, text=target.name)
    return Restored(target, target.epoch, behind)


# ---- what has to be so ----


def _known(group: LiveGroup, silence: NoMajorityError) -> tuple[Mirror, Mirrored]:
    mirror = group.desk.mirror
    known = None if mirror is None else mirror.get(group.name)
    if mirror is None or known is None:
        raise _waits(silence, f"this node has seen no member of group {group.name}")
    if known.record.pending_epoch:
        raise _waits(silence, f"a restore of group {group.name} waits for programs")
    return mirror, known


def _require_own(
    mirror: Mirror,
    known: Mirrored,
    row: MemberRecord | None,
    application: Application,
    silence: NoMajorityError,
) -> None:
    if row is None or row.node != mirror.node:
        raise _waits(silence, f"member {application.member} was not on this node")
    if application.engine is not EngineKind.MEMORY:
        raise _waits(silence, "unmodified programs come back with it only")
    if application.resuming and application.incarnation != row.incarnation:
        raise _waits(silence, f"member {row.name} may live elsewhere")


def _require_all_here(mirror: Mirror, known: Mirrored, silence: NoMajorityError) -> None:
    others = known.elsewhere(mirror.node)
    if others:
        raise _waits(
            silence, f"{', '.join(others)} of the group would follow a restore on other nodes"
        )


async def _require_settled(
    group: LiveGroup, known: Mirrored, member: str, silence: NoMajorityError
) -> None:
    """Nothing of a member that has no process is in doubt, or newer than the mirror."""
    committed = set(known.committed_epochs)
    region = region_name(group.name, member)
    newest = await asyncio.to_thread(_newest_settled, group.desk.pool, region, committed)
    if newest is None:
        raise _waits(silence, f"what member {member} has sealed is in doubt")
    if newest > max(committed, default=0):
        raise _waits(silence, f"member {member} has a newer checkpoint than is known here")


def _newest_settled(pool: Path, region: str, committed: set[int]) -> int | None:
    """The newest checkpoint of a region that nobody has open; None: something is in doubt."""

    def decide(epoch: int) -> bool | None:
        return True if epoch in committed else None

    try:
        opened = Region.open(pool, region, mode="r+", decide=decide)
    except NotFoundError:
        return 0
    except InUseError:
        raise
    except MmsnapError as error:
        log.warning("%s", error)
        return None
    try:
        return max((record.epoch for record in opened.checkpoints() if record.group), default=0)
    finally:
        opened.close()


def _is_owed(known: Mirrored, row: MemberRecord) -> bool:
    """Whether the others have to return to the head with it; as when its service was away."""
    if row.state is MemberState.ATTACHED:
        return row.on_loss is OnLoss.ROLLBACK and known.record.head_epoch is not None
    return is_owed(row, known.record)


def _head_of(group: LiveGroup, known: Mirrored, application: Application) -> GroupCheckpoint | None:
    others = [seat for seat in group.seats if seat.name != application.member]
    if known.record.head_epoch is None or (application.on_loss is OnLoss.FRESH and others):
        return None
    head = known.find("latest")
    return head if any(part.member == application.member for part in head.members) else None


def _waits(silence: NoMajorityError, reason: str) -> AbortedError:
    return AbortedError(f"{silence.message}; without it, {reason}", hint=silence.hint)
