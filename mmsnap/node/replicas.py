"""Copies of checkpoints on other nodes: made after the commit, fetched where a member is to run.

Whoever has a part that is on too few nodes asks others to keep it; they fetch it themselves, so
that bytes go one way only, and a node with a full pool says so. What is missing is worked out anew
each time from the catalog: a service that was killed in the middle goes on where it was. It
decides neither what exists nor where members run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from mmsnap.catalog import Copies, EngineKind, GroupCheckpoint, NodeRecord, durability
from mmsnap.catalog.durability import holding
from mmsnap.errors import CorruptionError, MmsnapError, NotFoundError
from mmsnap.memory import crc32c
from mmsnap.node.ledger import Ledger
from mmsnap.node.logs import about
from mmsnap.node.mesh import Mesh
from mmsnap.node.part_sources import about_part, lost, take_from_any
from mmsnap.store import PartName, Unpacking, epochs_here

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 0.02
# A node that could not keep something is not asked again for so long.
_REST_SECONDS: Final = 3.0
_MEMBERS_AT_ONCE: Final = 4

Missing = dict[tuple[str, str], list[tuple[PartName, list[str], int]]]


class Replicas:
    """Of one event loop. `ledger` is its own: what it asks must not keep an operation waiting."""

    def __init__(self, pool: Path, mesh: Mesh, ledger: Ledger) -> None:
        self._pool = pool
        self._mesh = mesh
        self._ledger = ledger
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._wanted = asyncio.Event()
        self._resting: dict[str, float] = {}
        self._oldest_missing_ns = 0  # since 1970, when it was made; 0: none is missing
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Gives up what this pool lost with its machine, and begins to look after the rest."""
        await self._report_losses()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._ledger.close()

    def lag_seconds(self) -> float:
        """The age of the oldest checkpoint that this node has yet to see copied."""
        oldest_ns = self._oldest_missing_ns
        return max(time.time() - oldest_ns / 1e9, 0.0) if oldest_ns else 0.0

    def wake(self) -> None:
        """There may be something to copy."""
        self._wanted.set()

    async def await_durability(
        self, group: str, epoch: int, wanted: str, timeout_seconds: float
    ) -> None:
        """Returns when a checkpoint is that durable, or when the time is over."""
        catalog = self._ledger.catalog
        async with asyncio.timeout(timeout_seconds):
            while True:
                checkpoint = await self._ledger.ask(catalog.find, group, f"@{epoch}")
                copies = await self._ledger.ask(catalog.copies_of, group, epoch)
                nodes = await self._ledger.ask(catalog.nodes)
                if durability(checkpoint, copies, nodes) == wanted:
                    return
                await asyncio.sleep(_WAIT_SECONDS)

    def untouched(self, group: str, member: str) -> AbstractAsyncContextManager[None]:
        """Nothing of the member is fetched inside of this."""
        return self._locks[group, member]

    # ---- fetching ----

    async def fetch(self, part: PartName, source: str) -> None:
        """Gets a part from a node that has it, unless it is here already; then it counts.

        Raises:
            NotFoundError: the node has it no more. PoolFullError, CorruptionError;
            AgentUnavailableError when the node went away.
        """
        async with self._locks[part.group, part.member]:
            have = await asyncio.to_thread(
                epochs_here, self._pool, part.group, part.member, part.engine
            )
            committed = set(
                await self._ledger.ask(self._ledger.catalog.committed_epochs, part.group)
            )
            if part.epoch not in have:
                await self._receive(part, source, committed & set(have), committed)
            await self._ledger.ask(
                self._ledger.catalog.put_copy, part.group, part.epoch, part.member, self._mesh.name
            )
        log.debug("fetched", extra=about_part(part, source))

    async def bring_home(self, group: str, member: str) -> None:
        """Gets what this pool lacks of a member that is to run here: the head, and all before it.

        Of whichever engine they are: in a pod the shim comes first, and its program, which keeps
        its memory with the SDK, after it.

        NotFoundError when the head's part can not be had anywhere.
        """
        catalog = self._ledger.catalog
        try:
            head_epoch = (await self._ledger.ask(catalog.group, group)).head_epoch
        except NotFoundError:
            return  # it begins with this member
        nodes = await self._ledger.ask(catalog.nodes)
        copies = {each.epoch: each for each in await self._ledger.ask(catalog.copies, group)}
        here = {
            engine: await asyncio.to_thread(epochs_here, self._pool, group, member, engine)
            for engine in EngineKind
        }
        for checkpoint in await self._ledger.ask(catalog.checkpoints, group):
            figures = next((each for each in checkpoint.members if each.member == member), None)
            if figures is None or checkpoint.epoch in here[figures.engine]:
                continue
            part = PartName(group, member, figures.engine, checkpoint.epoch)
            known = copies.get(checkpoint.epoch)
            names = known.nodes.get(member, ()) if known is not None else ()
            if tuple(names) == (self._mesh.name,):
                continue  # sealed here by a process that did not live to hear of the commit
            try:
                await self._fetch_from_any(part, names, nodes)
            except MmsnapError as error:
                if checkpoint.epoch == head_epoch:
                    raise
                log.warning("can not be had: %s", error, extra=about_part(part))

    async def gather(self, checkpoint: GroupCheckpoint) -> None:
        """Gets every member's part here; NotFoundError when one can not be had."""
        for part, names, nodes in await self._whereabouts(checkpoint):
            if self._mesh.name not in names:
                await self._fetch_from_any(part, names, nodes)

    async def verify(
        self,
        checkpoint: GroupCheckpoint,
        here: Callable[[PartName], Awaitable[None]],
        *,
        any_copy: bool = False,
    ) -> None:
        """Has copies checked where they are, those of this node by `here`.

        Args:
            any_copy: not every copy, but those that a restore takes: the one where the member is,
                which nothing checks while it goes back; where there is none, any that is good.

        Raises:
            CorruptionError: one is damaged. NotFoundError: a member's part is nowhere.
            AgentUnavailableError: none is damaged, but a node that has one does not answer.
        """
        rows = await self._ledger.ask(self._ledger.catalog.members, checkpoint.group)
        homes = {row.name: row.node for row in rows}
        failures: list[MmsnapError | OSError] = []
        for part, names, nodes in await self._whereabouts(checkpoint):
            holders = holding(names, nodes)
            if not holders:
                raise lost(part, names)
            holders.sort(key=lambda node: node != self._mesh.name)
            if any_copy and homes.get(part.member) in holders:
                holders = [homes[part.member]]
            failures += await self._bad_copies(part, holders, here, any_copy=any_copy)
        if failures:
            raise next(
                (each for each in failures if isinstance(each, CorruptionError)), failures[0]
            )

    async def _bad_copies(
        self,
        part: PartName,
        holders: list[str],
        here: Callable[[PartName], Awaitable[None]],
        *,
        any_copy: bool,
    ) -> list[MmsnapError | OSError]:
        failures: list[MmsnapError | OSError] = []
        for node in holders:
            try:
                await (here(part) if node == self._mesh.name else self._mesh.verify(node, part))
                if any_copy:
                    return []
            except (MmsnapError, OSError) as error:
                log.warning("a copy is not good: %s", error, extra=about_part(part, node))
                failures.append(error)
        return failures

    async def _whereabouts(
        self, checkpoint: GroupCheckpoint
    ) -> list[tuple[PartName, tuple[str, ...], Mapping[str, NodeRecord]]]:
        """Each part, who has it, and the nodes there are."""
        catalog, group, epoch = self._ledger.catalog, checkpoint.group, checkpoint.epoch
        copies = await self._ledger.ask(catalog.copies_of, group, epoch)
        nodes = await self._ledger.ask(catalog.nodes)
        known = copies.nodes if copies is not None else {}
        return [
            (PartName(group, f.member, f.engine, epoch), tuple(known.get(f.member, ())), nodes)
            for f in checkpoint.members
        ]

    async def require_parts(
        self, checkpoint: GroupCheckpoint, seats: Mapping[str, tuple[str, EngineKind]]
    ) -> None:
        """Before a restore: every member can have its part, where it is.

        Programs get theirs if they lack it; a region is its member's own while that runs.

        Args:
            seats: node and engine of those that are attached, by member.

        Raises:
            NotFoundError: some can not have it, and nothing was changed.
        """
        for part, names, nodes in await self._whereabouts(checkpoint):
            holders = holding(names, nodes)
            node, engine = seats.get(part.member, ("", part.engine))
            is_lacking = bool(node) and node not in holders
            if not holders or (is_lacking and engine is EngineKind.MEMORY):
                raise lost(part, names)
            if is_lacking and node == self._mesh.name:
                await self._fetch_from_any(part, names, nodes)
            elif is_lacking:
                keep = partial(self._mesh.keep, node, part)
                await take_from_any(part, names, nodes, node, keep)

    async def _fetch_from_any(
        self, part: PartName, names: tuple[str, ...], nodes: Mapping[str, NodeRecord]
    ) -> None:
        await take_from_any(part, names, nodes, self._mesh.name, partial(self.fetch, part))

    async def _receive(
        self, part: PartName, source: str, have: set[int], committed: set[int]
    ) -> None:
        unpacking = Unpacking(self._pool, part, committed.__contains__)
        try:
            async for piece in self._mesh.fetch(source, part, have):
                await asyncio.to_thread(unpacking.take, piece)
        finally:
            await asyncio.to_thread(unpacking.close)
        if not unpacking.is_whole:
            raise CorruptionError(f"{part} did not arrive whole from {source}")

    # ---- making copies ----

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), _LOOK_SECONDS)
            self._wanted.clear()
            try:
                await self._make_copies()
            except MmsnapError as error:
                log.warning("copies of checkpoints: %s", error)
            except Exception:
                # Whatever it was: copies that come late are better than none from now on.
                log.exception("copies of checkpoints could not be made")

    async def _make_copies(self) -> None:
        catalog = self._ledger.catalog
        checkpoints = await self._ledger.ask(catalog.checkpoints)
        if not any(checkpoint.replicas for checkpoint in checkpoints):
            self._oldest_missing_ns = 0
            return
        nodes = await self._ledger.ask(catalog.nodes)
        copies = {(each.group, each.epoch): each for each in await self._ledger.ask(catalog.copies)}
        limit = asyncio.Semaphore(_MEMBERS_AT_ONCE)

        async def of_member(parts: list[tuple[PartName, list[str], int]]) -> None:
            async with limit:
                for part, holders, wanted in parts:
                    if await self._spread(part, holders, wanted, nodes):
                        self.wake()  # to see what is left

        missing = self._missing(checkpoints, copies, nodes)
        epochs = {(p[0].group, p[0].epoch) for parts in missing.values() for p in parts}
        waiting = (c.created_ns for c in checkpoints if (c.group, c.epoch) in epochs)
        self._oldest_missing_ns = min(waiting, default=0)
        await asyncio.gather(*(of_member(parts) for parts in missing.values()))

    def _missing(
        self,
        checkpoints: list[GroupCheckpoint],
        copies: Mapping[tuple[str, int], Copies],
        nodes: Mapping[str, NodeRecord],
    ) -> Missing:
        """What this node has to see to: it is where the part was made, or the first that has it."""
        missing: Missing = defaultdict(list)
        for checkpoint in checkpoints:
            known = copies.get((checkpoint.group, checkpoint.epoch))
            if not checkpoint.replicas or known is None:
                continue
            for figures in checkpoint.members:
                holders = holding(known.nodes.get(figures.member, ()), nodes)
                first = figures.node if figures.node in holders else min(holders, default="")
                if first == self._mesh.name and len(holders) <= checkpoint.replicas:
                    part = PartName(
                        checkpoint.group, figures.member, figures.engine, checkpoint.epoch
                    )
                    wanted = checkpoint.replicas + 1 - len(holders)
                    missing[checkpoint.group, figures.member].append((part, holders, wanted))
        return missing

    async def _spread(
        self, part: PartName, holders: list[str], wanted: int, nodes: Mapping[str, NodeRecord]
    ) -> int:
        """Returns how many nodes keep it now that did not."""
        kept = 0
        now = asyncio.get_running_loop().time()
        free = [n for n in nodes.values() if not n.down and n.name not in holders]
        for node in sorted(free, key=lambda node: _rank(part, node.name)):
            if kept == wanted:
                break
            if self._resting.get(node.name, 0.0) > now:
                continue
            try:
                await self._mesh.keep(node.name, part, self._mesh.name)
                kept += 1
            except NotFoundError:
                break  # it was deleted meanwhile
            except MmsnapError as error:
                log.warning("keeps no copy: %s", error, extra=about_part(part, node.name))
                self._resting[node.name] = now + _REST_SECONDS
        return kept

    async def _report_losses(self) -> None:
        """A pool in memory is empty after its machine was started anew; others may have copies."""
        catalog, mine = self._ledger.catalog, self._mesh.name
        engines = {
            (checkpoint.group, checkpoint.epoch, figures.member): figures.engine
            for checkpoint in await self._ledger.ask(catalog.checkpoints)
            for figures in checkpoint.members
        }
        here: dict[tuple[str, str], set[int]] = {}
        for known in await self._ledger.ask(catalog.copies):
            for member, holders in known.nodes.items():
                engine = engines.get((known.group, known.epoch, member))
                if mine not in holders or engine is None:
                    continue
                whose = (known.group, member)
                if whose not in here:
                    found = await asyncio.to_thread(epochs_here, self._pool, *whose, engine)
                    here[whose] = set(found)
                # One above all that is here may be sealed, and its member not told yet.
                newest = max(here[whose], default=known.epoch + 1)
                if known.epoch not in here[whose] and known.epoch < newest:
                    log.warning(
                        "is lost here", extra=about(known.group, known.epoch, member=member)
                    )
                    await self._ledger.ask(
                        catalog.drop_copy, known.group, known.epoch, member, mine
                    )


def _rank(part: PartName, node: str) -> int:
    """Each member prefers other nodes, always the same (rendezvous hashing)."""
    return crc32c(f"{part.group}/{part.member}/{node}".encode())
