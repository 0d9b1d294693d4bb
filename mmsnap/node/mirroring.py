"""Looks at etcd for the mirror, and when it is back, tells it what was done without.

The catalog wins: a restore that was made without it is recorded if nobody changed the group since,
and otherwise undone, by one more restore, to the head that the catalog has. The group's turn is
kept for that, so that nothing is cut of what the catalog does not have.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from mmsnap.catalog import Mirrored, NoMajorityError
from mmsnap.errors import FencedError, MmsnapError
from mmsnap.node.groups import Groups
from mmsnap.node.ledger import Ledger
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.mirror import Mirror
from mmsnap.node.perform import Participant

if TYPE_CHECKING:
    from mmsnap.catalog.etcd_mirror import EtcdMirrorSource

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0


class Mirroring:
    """Of one event loop. `source` has a connection of its own: it asks while others may not."""

    def __init__(self, groups: Groups, mirror: Mirror, source: EtcdMirrorSource) -> None:
        self._groups = groups
        self._mirror = mirror
        self._source = source
        self._asking = Ledger(source)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Before anybody is served: what was done by an earlier service is told first.

        NoMajorityError without etcd.
        """
        await self._round()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._asking.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except NoMajorityError as error:
                self._fall_silent(error)
            except MmsnapError as error:
                log.warning("the mirror of the catalog: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._mirror.stale.wait(), _LOOK_SECONDS)

    async def _round(self) -> None:
        self._mirror.stale.clear()
        here = await self._asking.ask(self._source.groups_of, self._mirror.node)
        async with AsyncExitStack() as turns:
            overtaken = await self._record_moves(turns)
            await self._tell_who_came_back()
            await self._mirror.see({name: await self._look(name) for name in sorted(here)})
            self._speak_again()
            for group in overtaken:
                await self._bring_back(group)

    # ---- looking ----

    async def _look(self, name: str) -> Mirrored:
        known, source, node = self._mirror.get(name), self._source, self._mirror.node
        if known is not None and known.revision == await self._asking.ask(source.revision, name):
            return known
        seen = await self._asking.ask(source.look, name)
        if known is not None and known.used_epoch >= seen.record.next_epoch:
            # Members have heard of it, and would not obey a lower one.
            await self._asking.ask(source.skip, name, known.used_epoch)
            seen = await self._asking.ask(source.look, name)
        if not seen.elsewhere(node) and not seen.has_aside(node):
            await self._asking.ask(source.set_aside, name, node)
            seen = await self._asking.ask(source.look, name)
        return seen

    def _fall_silent(self, error: NoMajorityError) -> None:
        ledger = self._groups.desk.ledger
        if ledger.silence is None:
            ledger.silence = error
            log.warning("%s: what needs no other node goes on by what was last known", error)

    def _speak_again(self) -> None:
        ledger = self._groups.desk.ledger
        if ledger.silence is not None:
            ledger.silence = None
            log.warning("etcd answers again")

    # ---- what was done without it ----

    async def _record_moves(self, turns: AsyncExitStack) -> list[LiveGroup]:
        """Records restores; returns the groups whose restore gives way, in their turn."""
        overtaken = []
        for name in [name for name, known in self._mirror.groups().items() if known.moved_epoch]:
            group = self._groups.group(name)
            # Not while a process is on its way in that was told of this restore.
            await turns.enter_async_context(group.turn(settled=True))
            known = self._mirror.groups()[name]
            where = group.about(epoch=known.moved_epoch)
            if await self._asking.ask(self._source.record_move, known):
                await self._mirror.recorded(name)
                log.warning("the restore that was made without etcd is recorded", extra=where)
                continue
            log.error(
                "the restore that was made without etcd is undone: others changed the group "
                "meanwhile, its members go back to the head that the catalog has",
                extra=where,
            )
            await self._asking.ask(self._source.skip, name, known.used_epoch)
            overtaken.append(group)
        return overtaken

    async def _tell_who_came_back(self) -> None:
        for (name, member), row in tuple(self._mirror.owed.items()):
            seat = self._groups.group(name).seats.get(member)
            if seat is not None and seat.home == (row.node, row.incarnation):
                try:
                    await self._asking.ask(self._source.put_member, row)
                except FencedError as error:
                    log.error("%s", error, extra=self._groups.group(name).about(member=member))
            del self._mirror.owed[name, member]

    async def _bring_back(self, group: LiveGroup) -> None:
        """Until everybody is where the catalog says; the group's turn here is taken."""
        ledger = self._groups.desk.ledger
        while True:
            try:
                await self._asking.ask(self._source.revision, group.name)
                ledger.silence = None  # nobody else takes it back meanwhile
                await self._roll_back(group)
                await self._mirror.recorded(group.name)
                return
            except MmsnapError as error:
                log.error("it is not undone yet: %s", error, extra=group.about())
                await asyncio.sleep(_LOOK_SECONDS)

    async def _roll_back(self, group: LiveGroup) -> None:
        mesh, ledger = group.desk.mesh, group.desk.ledger
        assert mesh is not None
        async with AsyncExitStack() as taken:
            everybody: list[Participant] = list(group.seats.seated())
            for node in await mesh.nodes_with_members(group.name):
                if node != mesh.name:
                    enlisting = mesh.enlisted(node, group.name)
                    everybody += (await taken.enter_async_context(enlisting)).seats
            head = await ledger.ask(ledger.catalog.find, group.name, "latest")
            await group.roll_back(head, await group.of_now(everybody))
