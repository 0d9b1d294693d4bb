"""How a process becomes a member, and how it comes back.

Attach tells it what its region must show; Hello, on the members' socket, makes
it one. Between the two nothing moves the group. A process that lost its
connection keeps its memory and is brought to where the others went meanwhile.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from mmsnap.catalog import (
    EngineKind,
    GroupCheckpoint,
    GroupRecord,
    MemberRecord,
    MemberState,
    NoMajorityError,
    OnLoss,
)
from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.group.messages import Abort, Commit, Hello, Welcome
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.losses import is_owed, note_loss, pay
from mmsnap.node.moving import come_here, end_leftover, fenced, row_of
from mmsnap.node.perform import Participant
from mmsnap.node.seats import Seat, Standing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Application:
    """What a process says of itself at Attach."""

    member: str
    pid: int
    size_bytes: int
    on_loss: OnLoss
    resuming: bool
    followed_restore_epoch: int
    engine: EngineKind = EngineKind.MEMORY
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """What it is told: its token, and where its region must be."""

    seat: Seat
    head: GroupCheckpoint | None
    restore_epoch: int
    committed_epochs: list[int]
    restore_pending: bool = False


async def attach(group: LiveGroup, application: Application) -> Admission:
    """Give the process its seat.

    Raises:
        InUseError: the name is another live process's, here or on another node.
        FencedError: the process is a leftover of a member that lives elsewhere; it was ended.
        AbortedError: the member's node does not answer. NotFoundError: its head is lost.
    """
    if group.desk.mesh is not None:
        await _come_home(group, application)
    async with group.turn():
        if application.resuming or not await _predecessor_is_owed(group, application.member):
            return await _admit(group, application)
    async with group.whole_turn() as seats:
        await _settle_predecessor(group, application.member, seats)
    async with group.turn():
        return await _admit(group, application)


async def _come_home(group: LiveGroup, application: Application) -> None:
    member = application.member
    if application.resuming:
        row = await row_of(group, member)
        assert group.desk.mesh is not None
        home = group.desk.mesh.name, application.incarnation
        if row is not None and (row.node, row.incarnation) != home:
            end_leftover(group, member, application.pid)
            raise fenced(group.name, row)
        return
    async with group.turn():
        await come_here(group, member)
    # Takes its time, and nothing can be done to the group meanwhile that would need more of it.
    if group.desk.replicas is not None:
        await group.desk.replicas.bring_home(group.name, member)


async def greet(group: LiveGroup, seat: Seat, hello: Hello, pid: int) -> None:
    """Welcome a seat whose process said Hello, and tell it what it missed."""
    switchboard, ledger = group.desk.switchboard, group.desk.ledger
    seat.standing, seat.pid = Standing.SETTLING, pid
    switchboard.order(seat.token, Welcome())
    epoch = hello.in_doubt_epoch
    if epoch:
        committed = await ledger.ask(ledger.catalog.settle, group.name, epoch)
        switchboard.order(seat.token, Commit(epoch) if committed else Abort(epoch))
        about = group.about(epoch=epoch, member=seat.name)
        log.info("told the outcome it missed", extra=about)
    if group.seats.get(seat.name) is not seat:
        return  # its line ended meanwhile
    await _record_attached(group, seat)
    if seat.behind and seat.member.engine is EngineKind.PROCESS:
        await _owe_restore(group)
    elif seat.behind and not await _catch_up(group, seat):
        return
    seat.behind = False
    seat.standing = Standing.SEATED
    group.seats.change()
    group.tell("attached", member=seat.name, text=f"process {pid}")
    log.info("attached, process %d", pid, extra=group.about(member=seat.name))


async def _record_attached(group: LiveGroup, seat: Seat) -> None:
    ledger, mirror = group.desk.ledger, group.desk.mirror
    row = replace(seat.member, state=MemberState.ATTACHED, lost_epoch=0)
    try:
        await ledger.ask(ledger.catalog.put_member, row)
    except NoMajorityError:
        if mirror is None or not mirror.has_member(row):
            raise
        mirror.owed[group.name, seat.name] = row


async def _admit(group: LiveGroup, application: Application) -> Admission:
    ledger = group.desk.ledger
    record = await _record(group)
    row = await row_of(group, application.member)
    if row is not None and not application.resuming and record.next_epoch > 1:
        # Of a coordinator that was cut off: it must not commit what this process does not find.
        await ledger.ask(ledger.catalog.settle, group.name, record.next_epoch - 1)
    group.epoch = max(group.epoch, record.next_epoch - 1)
    admission = Admission(
        seat=seat_of(group, application, record, row),
        head=await _head_of(group, record, application),
        restore_epoch=record.restore_epoch,
        committed_epochs=await ledger.ask(ledger.catalog.committed_epochs, group.name),
        restore_pending=await _is_pending(group, record, application),
    )
    take_seat(group, admission.seat, application)  # last: nobody sits there if it was not told all
    return admission


def seat_of(
    group: LiveGroup, application: Application, record: GroupRecord, row: MemberRecord | None
) -> Seat:
    """A seat for the process, which is not in it yet."""
    member = MemberRecord(
        group=group.name,
        name=application.member,
        on_loss=application.on_loss,
        state=MemberState.ATTACHED,
        size_bytes=application.size_bytes,
        engine=application.engine,
        node=group.desk.mesh.name if group.desk.mesh is not None else "",
        incarnation=row.incarnation if row is not None else 0,
    )
    behind = application.resuming and application.followed_restore_epoch < record.restore_epoch
    return Seat(member, application.pid, behind)


def take_seat(group: LiveGroup, seat: Seat, application: Application) -> None:
    """Puts the process into its seat; InUseError."""
    replaced = group.seats.take(seat, resuming=application.resuming)
    if replaced is not None:
        group.desk.switchboard.hang_up(replaced.token, "its process attached anew")


async def _is_pending(group: LiveGroup, record: GroupRecord, application: Application) -> bool:
    """Whether a restore waits for this program to be there."""
    if not record.pending_epoch or application.engine is not EngineKind.PROCESS:
        return False
    ledger = group.desk.ledger
    target = await ledger.ask(ledger.catalog.find, group.name, f"@{record.pending_epoch}")
    return any(part.member == application.member for part in target.members)


async def _record(group: LiveGroup) -> GroupRecord:
    ledger = group.desk.ledger
    try:
        return await ledger.ask(ledger.catalog.group, group.name)
    except NotFoundError:
        return GroupRecord(group.name, head_epoch=None, next_epoch=1, restore_epoch=0)


async def _head_of(
    group: LiveGroup, record: GroupRecord, application: Application
) -> GroupCheckpoint | None:
    """The head, if the member is a part of it; one that starts fresh beside others has none."""
    if record.head_epoch is None or application.engine is EngineKind.PROCESS:
        return None
    others = [seat for seat in group.seats if seat.name != application.member]
    if application.on_loss is OnLoss.FRESH and others:
        return None
    ledger = group.desk.ledger
    head = await ledger.ask(ledger.catalog.find, group.name, "latest")
    parts = {figures.member for figures in head.members}
    return head if application.member in parts else None


async def _predecessor_is_owed(group: LiveGroup, name: str) -> bool:
    """Whether the process before this one is gone and the others have not been told."""
    ledger = group.desk.ledger
    rows = await ledger.ask(ledger.catalog.members, group.name)
    row = next((row for row in rows if row.name == name), None)
    if row is None or group.seats.get(name) is not None:
        return False
    if row.state is MemberState.ATTACHED:
        return row.on_loss is OnLoss.ROLLBACK
    return is_owed(row, await _record(group))


async def _settle_predecessor(group: LiveGroup, name: str, seats: list[Participant]) -> None:
    ledger = group.desk.ledger
    rows = await ledger.ask(ledger.catalog.members, group.name)
    row = next((row for row in rows if row.name == name), None)
    if row is not None and row.state is MemberState.ATTACHED and group.seats.get(name) is None:
        await note_loss(group, row, epoch=0)
    await pay(group, seats)


async def _owe_restore(group: LiveGroup) -> None:
    """Programs follow a restore together: it is made again when all of them are there."""
    ledger = group.desk.ledger
    record = await ledger.ask(ledger.catalog.group, group.name)
    await ledger.ask(ledger.catalog.set_pending, group.name, record.head_epoch or 0)


async def _catch_up(group: LiveGroup, seat: Seat) -> bool:
    """Bring one member to the head; when it can not follow it is expelled and comes again."""
    ledger, switchboard = group.desk.ledger, group.desk.switchboard
    head = await ledger.ask(ledger.catalog.find, group.name, "latest")
    epoch = await ledger.ask(ledger.catalog.next_epoch, group.name)

    async def nothing_to_record() -> None:
        """The head stays where it is."""

    generation = (await ledger.ask(ledger.catalog.group, group.name)).restore_epoch
    operation = group.restore_operation(epoch, head, [seat], generation)
    what = f"restore @{epoch} of member {seat.name} of group {group.name} to {head.name}"
    try:
        await group.perform(operation, [seat], what, record=nothing_to_record)
        return not operation.expelled
    except MmsnapError as error:
        switchboard.hang_up(seat.token, f"could not follow a restore: {error.message}")
        return False
