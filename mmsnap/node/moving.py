"""How a member comes from another node to this one, and how what it left behind is shut out.

Before anything of it is shown here, the node that it was on lets it go, or somebody vouches that
this node is down; then the catalog has it here, under a higher incarnation. Whatever process of a
lower one is still running has no part in anything, and is ended as soon as its node hears of it.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from dataclasses import replace

from mmsnap.catalog import MemberRecord, MemberState
from mmsnap.errors import AbortedError, FencedError, InUseError, MmsnapError
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.losses import note_loss
from mmsnap.node.peers import is_running
from mmsnap.node.seats import Seat

log = logging.getLogger(__name__)


async def row_of(group: LiveGroup, member: str) -> MemberRecord | None:
    """The member as the catalog has it."""
    rows = await group.desk.ledger.ask(group.desk.ledger.catalog.members, group.name)
    return next((row for row in rows if row.name == member), None)


async def come_here(group: LiveGroup, member: str) -> None:
    """Makes a member of another node one of this node. Needs the turn.

    Raises:
        InUseError: it runs there.
        AbortedError: that node does not answer, and nobody vouched that it is down.
    """
    mesh, ledger = group.desk.mesh, group.desk.ledger
    row = await row_of(group, member)
    if mesh is None or row is None or row.node == mesh.name:
        return
    nodes = await ledger.ask(ledger.catalog.nodes)
    home = nodes.get(row.node)
    if row.state is not MemberState.LEFT and home is not None and not home.down:
        await _ask_to_let_go(group, row)
    here = replace(row, node=mesh.name, incarnation=row.incarnation + 1)
    if row.state is MemberState.ATTACHED:
        await note_loss(group, here, epoch=0)
    else:
        await ledger.ask(ledger.catalog.put_member, here)
    log.warning("comes from another node", extra=group.about(member=member, peer=row.node))


async def _ask_to_let_go(group: LiveGroup, row: MemberRecord) -> None:
    mesh = group.desk.mesh
    assert mesh is not None
    try:
        await mesh.release(row.node, group.name, row.name)
    except InUseError:
        raise
    except MmsnapError as error:
        raise AbortedError(
            f"member {row.name} of group {group.name} was last on node {row.node}, "
            f"which does not answer: {error.message}",
            subject=row.name,
            hint=f"if that node does not run for certain: mmsnap node down {row.node}",
        ) from error


async def let_go(group: LiveGroup, member: str) -> None:
    """Answers another node that wants to run a member of this one; InUseError when it runs here."""
    async with group.turn():
        seat = group.seats.get(member)
        if seat is not None and is_running(seat.pid):
            raise InUseError(
                f"member {member} of group {group.name} is process {seat.pid} "
                f"of node {seat.member.node}",
                subject=member,
                hint="stop that process first, or give another --member",
                pid=seat.pid,
            )


def is_superseded(seat: Seat, row: MemberRecord | None) -> bool:
    """Whether the catalog has the member elsewhere, or here as a newer one."""
    if row is None:
        return False
    return (row.incarnation, row.node) != (seat.member.incarnation, seat.member.node)


def fenced(group: str, row: MemberRecord) -> FencedError:
    """The error of a process whose member lives elsewhere by now."""
    return FencedError(
        f"member {row.name} of group {group} runs on node {row.node} now",
        subject=row.name,
        hint="this process is a leftover of it",
    )


def end_leftover(group: LiveGroup, member: str, pid: int) -> None:
    """Ends a superseded process, before it does anything in the name of a member that it is not."""
    log.error("ended process %d, a leftover of it", pid, extra=group.about(member=member))
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
