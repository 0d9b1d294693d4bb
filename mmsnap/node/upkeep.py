"""Keeping a group's checkpoints and members in order: delete, prune, pin, verify, detach.

The catalog is changed first; what it no longer knows does not exist. The bytes
follow, on this node and on the others (`sweep`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from mmsnap.catalog import EngineKind, GroupCheckpoint
from mmsnap.errors import AbortedError, InUseError, NotFoundError
from mmsnap.group.messages import Pin
from mmsnap.node import regions
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.logs import about
from mmsnap.node.mesh import Mesh
from mmsnap.node.sweep import follow
from mmsnap.process.parts import verify_part
from mmsnap.retention import Retention, prunable
from mmsnap.store import PartName

log = logging.getLogger(__name__)


async def delete_checkpoint(group: LiveGroup, name: str) -> None:
    """Delete a checkpoint of all members; never the head, a pinned one, or what a restore needs."""
    ledger = group.desk.ledger
    async with _turn_of_some_node(group):
        found = await ledger.ask(ledger.catalog.find, group.name, name)
        await ledger.ask(ledger.catalog.delete, group.name, found.epoch)
    group.tell("deleted", epoch=found.epoch, text=found.name)
    await follow(group)


def _any(checkpoint: GroupCheckpoint) -> bool:
    return True


async def prune_checkpoints(
    group: LiveGroup,
    retention: Retention,
    *,
    dry_run: bool,
    among: Callable[[GroupCheckpoint], bool] = _any,
    agreed: Callable[[], Awaitable[None]] | None = None,
) -> list[GroupCheckpoint]:
    """Delete what the policy lets go of those `among`, and return it, ascending by epoch.

    `agreed` is asked in the group's turn, before anything is done: what it raises is how it ends.
    Ages are by this node's clock, and the times of cuts by those of the nodes that coordinated
    them: `keep_within` is off by as much as these differ, and nothing else is.
    """
    if dry_run:
        return await _prunable(group, retention, among)
    async with _turn_of_some_node(group):
        if agreed is not None:
            await agreed()
        chosen = await _prunable(group, retention, among)
        gone = [each for each in chosen if await _forget(group, each)]
    if gone:
        await follow(group)
    return gone


async def _prunable(
    group: LiveGroup, retention: Retention, among: Callable[[GroupCheckpoint], bool]
) -> list[GroupCheckpoint]:
    ledger, now_ns = group.desk.ledger, time.time_ns()
    record = await ledger.ask(ledger.catalog.group, group.name)
    return prunable(
        filter(among, await ledger.ask(ledger.catalog.checkpoints, group.name)),
        retention,
        age_ns=lambda each: now_ns - each.created_ns,
        needed=(record.head_epoch, record.pending_epoch),
    )


async def _forget(group: LiveGroup, checkpoint: GroupCheckpoint) -> bool:
    """Delete one in the catalog; False when somebody has come to need it, or was quicker."""
    ledger = group.desk.ledger
    try:
        await ledger.ask(ledger.catalog.delete, group.name, checkpoint.epoch)
    except (NotFoundError, ValueError) as error:
        log.info("not pruned: %s", error, extra=group.about())
        return False
    group.tell("deleted", epoch=checkpoint.epoch, text=checkpoint.name)
    return True


@asynccontextmanager
async def _turn_of_some_node(group: LiveGroup) -> AsyncIterator[None]:
    """The group's turn on one node that has members of it.

    It keeps every operation away, for these need the turns of all such nodes; the others may
    be down. AbortedError when none can be had.
    """
    mesh = group.desk.mesh
    nodes = [] if mesh is None else await mesh.nodes_with_members(group.name)
    async with AsyncExitStack() as taken:
        if mesh is None or not nodes or mesh.name in nodes:
            await taken.enter_async_context(group.turn())
        else:
            await _take_one(taken, mesh, nodes, group.name)
        yield


async def _take_one(taken: AsyncExitStack, mesh: Mesh, nodes: list[str], group: str) -> None:
    for node in nodes:
        try:
            await taken.enter_async_context(mesh.enlisted(node, group))
            return
        except AbortedError as error:
            log.info("another node is asked: %s", error, extra=about(group, 0))
            refusal = error
    raise refusal


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


async def verify_checkpoint(group: LiveGroup, name: str, *, any_copy: bool) -> list[str]:
    """Check every copy of every member's part of a checkpoint; the names of the members.

    Raises CorruptionError naming what is damaged, NotFoundError for what is lost. `any_copy`: only
    what a restore takes is looked at.
    """
    ledger, replicas = group.desk.ledger, group.desk.replicas
    found = await ledger.ask(ledger.catalog.find, group.name, name)
    if replicas is not None:
        await replicas.verify(found, partial(verify_here, group), any_copy=any_copy)
    else:
        for part in found.members:
            await verify_here(group, PartName(group.name, part.member, part.engine, found.epoch))
    return [part.member for part in found.members]


async def verify_here(group: LiveGroup, part: PartName) -> None:
    """Read and check what this pool has of a part; CorruptionError, NotFoundError."""
    pool, ledger = group.desk.pool, group.desk.ledger
    async with group.readers.reading():
        if part.engine is EngineKind.PROCESS:
            folder = part.program(pool).folder.parent
            await asyncio.to_thread(verify_part, folder, part.epoch)
            return
        committed = set(await ledger.ask(ledger.catalog.committed_epochs, group.name))
        await asyncio.to_thread(
            regions.verify_checkpoint, pool, part.region, part.epoch, committed.__contains__
        )


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
