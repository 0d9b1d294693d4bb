"""Keeping a group's checkpoints and members in order: delete, pin, verify, detach.

The catalog is changed first; what it no longer knows does not exist. The
regions follow: an attached member is told over its line, another one's region
is opened here.
"""

from __future__ import annotations

import asyncio

from mmsnap.catalog import EngineKind
from mmsnap.errors import InUseError, NotFoundError
from mmsnap.group.messages import Delete, Pin
from mmsnap.node import regions
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.regions import region_name
from mmsnap.process.manifest import member_folder
from mmsnap.process.parts import delete_part, verify_part


async def delete_checkpoint(group: LiveGroup, name: str) -> None:
    """Delete a checkpoint of all members; never the head."""
    ledger, switchboard = group.desk.ledger, group.desk.switchboard
    async with group.turn(settled=True):
        found = await ledger.ask(ledger.catalog.find, group.name, name)
        await ledger.ask(ledger.catalog.delete, group.name, found.epoch)
        committed = set(await ledger.ask(ledger.catalog.committed_epochs, group.name))
        for part in found.members:
            if part.engine is EngineKind.PROCESS:
                folder = member_folder(group.desk.pool, group.name, part.member)
                await asyncio.to_thread(delete_part, folder, found.epoch)
                continue
            seat = group.seats.get(part.member)
            if seat is not None:
                switchboard.order(seat.token, Delete(found.epoch))
                continue
            await asyncio.to_thread(
                regions.delete_checkpoint,
                group.desk.pool,
                region_name(group.name, part.member),
                found.epoch,
                committed.__contains__,
            )
    group.tell("deleted", epoch=found.epoch, text=found.name)


async def pin_checkpoint(group: LiveGroup, name: str, pinned: bool) -> None:
    """Keep a checkpoint from pruning, or no longer; the catalog's mark is the one that counts."""
    ledger, switchboard = group.desk.ledger, group.desk.switchboard
    async with group.turn():
        found = await ledger.ask(ledger.catalog.find, group.name, name)
        await ledger.ask(ledger.catalog.pin, group.name, found.epoch, pinned)
        parts = {part.member for part in found.members}
        for seat in group.seats.seated():
            if seat.name in parts:
                switchboard.order(seat.token, Pin(found.epoch, pinned))


async def verify_checkpoint(group: LiveGroup, name: str) -> list[str]:
    """Check every member's part of a checkpoint; the names of the members.

    Raises CorruptionError naming what is damaged, NotFoundError for a lost region.
    """
    ledger = group.desk.ledger
    found = await ledger.ask(ledger.catalog.find, group.name, name)
    committed = set(await ledger.ask(ledger.catalog.committed_epochs, group.name))
    for part in found.members:
        if part.engine is EngineKind.PROCESS:
            folder = member_folder(group.desk.pool, group.name, part.member)
            await asyncio.to_thread(verify_part, folder, found.epoch)
            continue
        await asyncio.to_thread(
            regions.verify_checkpoint,
            group.desk.pool,
            region_name(group.name, part.member),
            found.epoch,
            committed.__contains__,
        )
    return [part.member for part in found.members]


async def detach(group: LiveGroup, name: str) -> None:
    """Drop a member that is not attached; its part of older checkpoints stays."""
    ledger = group.desk.ledger
    async with group.turn():
        seat = group.seats.get(name)
        if seat is not None:
            raise InUseError(
                f"member {name} of group {group.name} is attached",
                subject=name,
                hint="stop its process first",
                pid=seat.pid,
            )
        rows = await ledger.ask(ledger.catalog.members, group.name)
        if all(row.name != name for row in rows):
            raise NotFoundError(f"group {group.name} has no member {name}", subject=name)
        await ledger.ask(ledger.catalog.drop_member, group.name, name)
    group.tell("left", member=name)
