"""Bytes of checkpoints that the catalog has forgotten: each node removes its own.

The catalog decides and the bytes follow: at once where a checkpoint was deleted, soon on the nodes
that hear of it, and on each node when its service starts and once a minute, so that one that was
down catches up. Removed is only what the catalog does not list and never will: that is looked up in
the group's turn, after what there is was listed, and what was only prepared is settled before. What
a pool has of groups that the catalog does not know is left alone: it may be a copy in the making.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from mmsnap.catalog import EngineKind
from mmsnap.errors import AbortedError, MmsnapError
from mmsnap.group.messages import Delete, Pin
from mmsnap.memory import CheckpointRecord
from mmsnap.node import regions
from mmsnap.node.groups import Groups
from mmsnap.node.live_group import LiveGroup
from mmsnap.process.manifest import FOLDER, member_folder
from mmsnap.process.parts import delete_part, epochs_of_parts
from mmsnap.store import epochs_here, region_name

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 60.0


class Sweeper:
    """Sweeps what is here of all groups, again and again, and of one group when told to."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._told: set[str] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def tell(self, group: str) -> None:
        """Checkpoints of this group were forgotten."""
        self._told.add(group)
        self._wake.set()

    async def stop(self) -> None:
        """Returns when no sweep is under way and none will come."""
        self._stopping = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while not self._stopping:
            await self._sweep_all(await self._groups_here())
            next_round = time.monotonic() + INTERVAL_SECONDS
            while await self._woken(next_round):
                told, self._told = self._told, set()
                await self._sweep_all(told)

    async def _groups_here(self) -> set[str]:
        desk = self._groups.desk
        here = await asyncio.to_thread(_folders, desk.pool)
        try:
            known = {record.name for record in await desk.ledger.ask(desk.ledger.catalog.groups)}
        except MmsnapError as error:
            log.warning("nothing is swept: %s", error)
            return set()
        return {group for group, _ in here} & known

    async def _sweep_all(self, groups: Iterable[str]) -> None:
        for name in sorted(groups):
            if self._stopping:
                return
            try:
                await sweep(self._groups.group(name))
            except Exception:
                log.exception(
                    "what was forgotten could not be removed",
                    extra=self._groups.group(name).about(),
                )

    async def _woken(self, until: float) -> bool:
        try:
            await asyncio.wait_for(self._wake.wait(), until - time.monotonic())
        except TimeoutError:
            return False
        self._wake.clear()
        return not self._stopping


async def follow(group: LiveGroup) -> None:
    """The catalog forgot checkpoints: remove their bytes here, and tell the other nodes."""
    if group.desk.mesh is not None:
        group.desk.mesh.tell_forgotten(group.name)
    await sweep(group)


async def sweep(group: LiveGroup) -> None:
    """Remove what the catalog does not list of a group; what can not go now has another turn."""
    here = await asyncio.to_thread(_folders, group.desk.pool)
    for member in sorted(member for name, member in here if name == group.name):
        try:
            async with group.turn(settled=True), group.readers.removing() as free:
                if free:
                    await _sweep_member(group, member)
        except AbortedError as error:
            log.info("keeps bytes for now: %s", error, extra=group.about())
            return
        except (MmsnapError, OSError) as error:
            log.warning("keeps bytes: %s", error, extra=group.about(member=member))


async def _sweep_member(group: LiveGroup, member: str) -> None:
    ledger, pool = group.desk.ledger, group.desk.pool
    folder = member_folder(pool, group.name, member)
    # First what there is, then what is listed: nothing that appears in between is taken for gone.
    records = await asyncio.to_thread(
        regions.checkpoints_besides_head, pool, region_name(group.name, member)
    )
    parts = await asyncio.to_thread(epochs_of_parts, folder)
    await _remove_abandoned_copy(group, member)
    if not records and not parts:
        return
    next_epoch = (await ledger.ask(ledger.catalog.group, group.name)).next_epoch
    listed = await ledger.ask(ledger.catalog.checkpoints, group.name)
    kept = {checkpoint.epoch for checkpoint in listed}
    members = {part.member for checkpoint in listed for part in checkpoint.members}
    members |= {row.name for row in await ledger.ask(ledger.catalog.members, group.name)}
    # A region may only be called like a member's: then it is somebody's own.
    gone = [r for r in records if r.epoch not in kept and (r.group or member in members)]
    if gone:
        await _delete_from_region(group, member, gone, kept)
    # The newest first: an older one is not merged into what goes as well.
    for epoch in sorted((e for e in parts - kept if e < next_epoch), reverse=True):
        if not await ledger.ask(ledger.catalog.settle, group.name, epoch):
            await asyncio.to_thread(delete_part, folder, epoch)


async def _remove_abandoned_copy(group: LiveGroup, member: str) -> None:
    """A copy's last checkpoint is its head, which can not be deleted: all of the region goes."""
    mesh, replicas = group.desk.mesh, group.desk.replicas
    if mesh is None or replicas is None or group.seats.get(member) is not None:
        return
    ledger, pool = group.desk.ledger, group.desk.pool
    async with replicas.untouched(group.name, member):
        here = await asyncio.to_thread(epochs_here, pool, group.name, member, EngineKind.MEMORY)
        kept = await ledger.ask(ledger.catalog.committed_epochs, group.name)
        rows = await ledger.ask(ledger.catalog.members, group.name)
        homes = {row.name: row.node for row in rows}
        lives_elsewhere = homes.get(member, mesh.name) != mesh.name
        is_there = (pool / "regions" / region_name(group.name, member)).exists()
        if is_there and lives_elsewhere and not set(here).intersection(kept):
            await asyncio.to_thread(regions.remove, pool, region_name(group.name, member))


async def _delete_from_region(
    group: LiveGroup, member: str, gone: list[CheckpointRecord], kept: set[int]
) -> None:
    seat = group.seats.get(member)
    if seat is None:
        region = region_name(group.name, member)
        decide = _decider(group, kept)
        await asyncio.to_thread(regions.delete_checkpoints, group.desk.pool, region, gone, decide)
        return
    for record in gone:
        if record.pinned:  # the catalog's mark is the one that counts, and is gone
            group.desk.switchboard.order(seat.token, Pin(record.epoch, False))
        group.desk.switchboard.order(seat.token, Delete(record.epoch))


def _decider(group: LiveGroup, kept: set[int]) -> Callable[[int], bool]:
    """Tells a thread whether an epoch was committed; one that was not never will be."""
    loop, ledger = asyncio.get_running_loop(), group.desk.ledger

    def decide(epoch: int) -> bool:
        if epoch in kept:
            return True
        settling = ledger.ask(ledger.catalog.settle, group.name, epoch)
        return asyncio.run_coroutine_threadsafe(settling, loop).result()

    return decide


def _folders(pool: Path) -> set[tuple[str, str]]:
    """The groups and members that the pool has something of."""
    names = {path.name for folder in ("regions", FOLDER) for path in (pool / folder).glob("*.*")}
    return {(group, member) for group, _, member in (name.partition(".") for name in names)}
