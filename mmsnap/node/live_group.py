"""A group as the service sees it: its seats, its turn, and what is done to it.

One operation at a time, by turns. Nobody's turn comes while a process is on its
way in, so that what it was told at Attach still holds at its Hello.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from mmsnap.catalog import EngineKind, GroupCheckpoint, MemberRecord, MemberState, name_taken
from mmsnap.errors import AbortedError, BusyError, NotFoundError
from mmsnap.group import (
    DEFAULT_BUDGETS,
    CheckOperation,
    CheckpointOperation,
    Finished,
    Operation,
    RestoreOperation,
)
from mmsnap.node.acquaintance import acquaint
from mmsnap.node.desk import CheckpointOrder, Desk, Restored
from mmsnap.node.events import Event
from mmsnap.node.logs import about
from mmsnap.node.outcomes import error_of, records_of
from mmsnap.node.perform import Participant, perform
from mmsnap.node.readers import Readers
from mmsnap.node.seats import Seat, Seats

log = logging.getLogger(__name__)

# How long an operation waits for members that are on their way in, and for its turn.
TURN_BUDGET_SECONDS: Final = 10.0
_WAITING_MAX: Final = 16
_DOUBT_SECONDS: Final = 1.0


class LiveGroup:
    """One group. Of one event loop."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.name = name
        self.desk = desk
        self.seats = Seats()
        self.readers = Readers()
        self.epoch = 0  # of the last operation that is known here
        self._turn = asyncio.Lock()
        self._waiting = 0

    # ---- operations ----

    async def checkpoint(
        self, order: CheckpointOrder, progress: Callable[[int, str], None]
    ) -> GroupCheckpoint:
        """Take a checkpoint of all members; `progress` is told epoch and step.

        Raises AbortedError, QuiesceTimeoutError, PauseExceededError or PoolFullError when
        it was aborted (the members run on), FileExistsError when the name is taken.
        """
        with self.desk.metrics.operation("checkpoint"):
            return await self._checkpoint(order, progress)

    async def _checkpoint(
        self, order: CheckpointOrder, progress: Callable[[int, str], None]
    ) -> GroupCheckpoint:
        ledger = self.desk.ledger
        async with self.complete_turn() as seats:
            if order.name:
                await self._require_unused(order.name)
            known = await ledger.ask(ledger.catalog.group, self.name)
            if order.agreed is not None:
                await order.agreed(known, seats)
            epoch = await ledger.ask(ledger.catalog.next_epoch, self.name)
            name = order.name or time.strftime(f"%Y%m%d-%H%M%S-e{epoch}", time.gmtime())
            operation = CheckpointOperation(
                epoch,
                [seat.name for seat in seats],
                name=name,
                automatic=order.automatic,
                unasked=order.unasked,
                max_pause_ns=order.max_pause_ns,
                programs=[seat.name for seat in seats if seat.engine is EngineKind.PROCESS],
                budgets=DEFAULT_BUDGETS.with_timeout(order.timeout_ns),
            )
            taken = GroupCheckpoint(
                group=self.name,
                epoch=epoch,
                name=name,
                parent_epoch=known.head_epoch,
                created_ns=time.time_ns(),
                held_ns=0,
                automatic=order.automatic,
                labels=dict(order.labels),
                replicas=order.replicas,
            )

            async def record() -> None:
                nonlocal taken
                held_ns, parts = operation.held_ns, records_of(operation.figures, seats)
                taken = replace(taken, held_ns=held_ns, members=parts)
                await self._commit(taken)

            what = f"checkpoint @{epoch} of group {self.name}"
            await self.perform(
                operation, seats, what, record=record, step=lambda step: progress(epoch, step)
            )
        self.tell("checkpoint", epoch=epoch, text=name)
        self.look_again()
        return taken

    async def restore(self, name: str) -> Restored:
        """Bring everybody back to a checkpoint; AbortedError when they run on as before."""
        ledger = self.desk.ledger
        with self.desk.metrics.operation("restore") as ending:
            async with self.whole_turn() as seats:
                target = await ledger.ask(ledger.catalog.find, self.name, name)
                await self._require_parts(target, seats)
                awaited = programs_missing(target, seats)
                if not awaited:
                    return await self.roll_back(target, seats)
                await ledger.ask(ledger.catalog.set_pending, self.name, target.epoch)
                record = await ledger.ask(ledger.catalog.group, self.name)
            ending.result = "pending"
        self.tell("pending", epoch=target.epoch, text=f"waits for {', '.join(awaited)}")
        return Restored(target, record.head_epoch, awaited=awaited)

    async def check_restore(self, name: str) -> Restored:
        """Ask whether the unmodified programs could be restored; AbortedError says why not."""
        ledger = self.desk.ledger
        async with self.whole_turn() as everybody:
            target = await ledger.ask(ledger.catalog.find, self.name, name)
            seats = [s for s in everybody if s.engine is EngineKind.PROCESS]
            record = await ledger.ask(ledger.catalog.group, self.name)
            if seats:
                await self._acquaint(seats, target.epoch)
                epoch = await ledger.ask(ledger.catalog.next_epoch, self.name)
                operation = CheckOperation(epoch, [s.name for s in seats], target=target.epoch)

                async def nothing_to_record() -> None:
                    """A check changes nothing."""

                what = f"check @{epoch} of group {self.name} against {target.name}"
                await self.perform(operation, seats, what, record=nothing_to_record)
        awaited = programs_missing(target, everybody)
        return Restored(target, record.head_epoch, awaited=awaited)

    async def restore_pending(self) -> None:
        """Restore what waits for programs, if they all are there now."""
        ledger = self.desk.ledger
        async with self.whole_turn() as seats:
            record = await ledger.ask(ledger.catalog.group, self.name)
            if not record.pending_epoch:
                return
            target = await ledger.ask(ledger.catalog.find, self.name, f"@{record.pending_epoch}")
            if not programs_missing(target, seats):
                with self.desk.metrics.operation("restore"):
                    await self._require_parts(target, seats)
                    await self.roll_back(target, seats)

    async def roll_back(self, target: GroupCheckpoint, seats: list[Participant]) -> Restored:
        """The restore itself; the caller has the whole turn, and these are all."""
        ledger = self.desk.ledger
        await self._acquaint(seats, target.epoch)
        epoch = await ledger.ask(ledger.catalog.next_epoch, self.name)

        async def record() -> None:
            await ledger.ask(ledger.catalog.set_head, self.name, target.epoch, epoch)

        behind: tuple[str, ...] = ()
        if seats:
            operation = self.restore_operation(epoch, target, seats)
            what = f"restore @{epoch} of group {self.name} to {target.name}"
            await self.perform(operation, seats, what, record=record)
            behind = tuple(sorted(operation.expelled))
            if operation.fallen is not None:
                # They are gone; started again they wait to be restored.
                await ledger.ask(ledger.catalog.set_pending, self.name, target.epoch)
                error = error_of(operation.fallen, what, self.name)
                self.tell("aborted", epoch=epoch, text=error.message)
                raise AbortedError(
                    f"{error.message}; every program of the group was ended",
                    subject=self.name,
                    hint="start them again with `mmsnap run`: they will be restored then",
                )
            for seat in seats:
                if isinstance(seat, Seat):
                    seat.behind = False
        else:
            await record()
        self.tell("restored", epoch=target.epoch, text=target.name)
        self.look_again()
        return Restored(target, target.epoch, behind)

    def restore_operation(
        self,
        epoch: int,
        target: GroupCheckpoint,
        seats: Sequence[Participant],
        generation: int = 0,
    ) -> RestoreOperation:
        parts = {figures.member for figures in target.members}
        names = [seat.name for seat in seats]
        absent = [name for name in names if name not in parts]
        programs = [seat.name for seat in seats if seat.engine is EngineKind.PROCESS]
        return RestoreOperation(
            epoch,
            names,
            target=target.epoch,
            absent=absent,
            programs=programs,
            generation=generation,
        )

    async def perform(
        self,
        operation: Operation,
        seats: Sequence[Participant],
        what: str,
        *,
        record: Callable[[], Awaitable[None]],
        step: Callable[[str], None] = lambda step: None,
    ) -> Finished:
        """Run an operation to its end; raises what aborted it."""
        self.epoch = operation.epoch
        finished = await perform(self.desk.switchboard, operation, seats, record=record, step=step)
        self.desk.metrics.finished(operation, finished)
        failure = finished.failure
        if failure is not None and not finished.committed:
            error = error_of(failure, what, self.name)
            where = self.about(member=", ".join(failure.members), phase=failure.step)
            log.warning("%s", error, extra=where)
            self.tell("aborted", epoch=operation.epoch, text=error.message)
            raise error
        log.info("%s done, held %.3f ms", what, finished.held_ns / 1e6, extra=self.about())
        return finished

    # ---- turns ----

    @asynccontextmanager
    async def turn(self, *, settled: bool = False) -> AsyncIterator[None]:
        """The group for oneself; `settled`: and nobody on the way in."""
        if self._waiting >= _WAITING_MAX:
            raise BusyError(
                f"{_WAITING_MAX} operations wait for group {self.name} already", subject=self.name
            )
        deadline = time.monotonic() + TURN_BUDGET_SECONDS
        while True:
            await self._take_turn(deadline)
            if not (settled and self.seats.unsettled()):
                break
            self._turn.release()
            await self._wait_for_seats(deadline)
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def whole_turn(self) -> AsyncIterator[list[Participant]]:
        """The group for oneself on all nodes, and who is in a seat there.

        Nodes are asked in the order of their names, so two that ask do not wait for each other.
        """
        mesh = self.desk.mesh
        async with AsyncExitStack() as taken:
            everybody: list[Participant] = []
            for node in await mesh.nodes_of(self.name) if mesh is not None else [""]:
                if mesh is None or node == mesh.name:
                    await taken.enter_async_context(self.turn(settled=True))
                    everybody += self.seats.seated()
                else:
                    enlisting = mesh.enlisted(node, self.name)
                    everybody += (await taken.enter_async_context(enlisting)).seats
            # Orders that have farther to go are given first.
            living = await self.of_now(everybody)
            yield sorted(living, key=lambda member: isinstance(member, Seat))

    async def of_now(self, everybody: list[Participant]) -> list[Participant]:
        """Without those who live elsewhere by now: a leftover has no part in anything."""
        if self.desk.mesh is None:
            return everybody
        rows = await self.desk.ledger.ask(self.desk.ledger.catalog.members, self.name)
        homes = {row.name: (row.node, row.incarnation) for row in rows}
        return [seat for seat in everybody if homes.get(seat.name, seat.home) == seat.home]

    @asynccontextmanager
    async def complete_turn(self) -> AsyncIterator[list[Participant]]:
        """The group for oneself, with every member that belongs to it in its seat."""
        deadline = time.monotonic() + TURN_BUDGET_SECONDS
        while True:
            async with self.whole_turn() as seats:
                missing = await self._missing(seats)
                if not missing:
                    yield seats
                    return
            lost = next((row for row in missing if row.state is MemberState.LOST), None)
            if lost is not None or time.monotonic() > deadline:
                raise _incomplete(self.name, lost or missing[0])
            await self.seats.changed(0.2)

    async def _missing(self, seats: list[Participant]) -> list[MemberRecord]:
        rows = await self.desk.ledger.ask(self.desk.ledger.catalog.members, self.name)
        seated = {seat.name for seat in seats}
        return [row for row in rows if row.state is not MemberState.LEFT and row.name not in seated]

    async def _take_turn(self, deadline: float) -> None:
        self._waiting += 1
        try:
            await asyncio.wait_for(self._turn.acquire(), deadline - time.monotonic())
        except TimeoutError:
            raise BusyError(
                f"group {self.name} is busy with another operation", subject=self.name
            ) from None
        finally:
            self._waiting -= 1

    async def _wait_for_seats(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            names = ", ".join(seat.name for seat in self.seats.unsettled())
            raise AbortedError(
                f"group {self.name} can not begin: member {names} is still attaching",
                subject=self.name,
            )
        await self.seats.changed(0.2)

    # ---- records ----

    async def _require_unused(self, name: str) -> None:
        ledger = self.desk.ledger
        try:
            await ledger.ask(ledger.catalog.find, self.name, name)
        except NotFoundError:
            return
        raise name_taken(self.name, name)

    async def _require_parts(self, target: GroupCheckpoint, seats: list[Participant]) -> None:
        if self.desk.replicas is not None:
            homes = {seat.name: (seat.home[0], seat.engine) for seat in seats}
            await self.desk.replicas.require_parts(target, homes)

    async def _acquaint(self, seats: Sequence[Participant], epoch: int) -> None:
        await acquaint(self.desk.pool, self.desk.mesh, self.name, seats, epoch)

    async def _commit(self, checkpoint: GroupCheckpoint) -> None:
        ledger = self.desk.ledger
        try:
            await ledger.ask(ledger.catalog.commit, checkpoint)
        except Exception:
            # An error may come after the record was written; nobody waits, all have run on.
            while True:
                try:
                    if await ledger.ask(ledger.catalog.settle, self.name, checkpoint.epoch):
                        return
                    break
                except AbortedError as error:
                    log.warning("it is in doubt: %s", error, extra=self.about(phase="decide"))
                    await asyncio.sleep(_DOUBT_SECONDS)
            raise

    def look_again(self) -> None:
        """Something was done: there may be copies to make, and the mirror is of before."""
        if self.desk.replicas is not None:
            self.desk.replicas.wake()
        if self.desk.mirror is not None:
            self.desk.mirror.stale.set()

    def tell(self, kind: str, *, member: str = "", epoch: int = 0, text: str = "") -> None:
        """Tell the watchers."""
        self.desk.events.tell(Event(kind, self.name, member, epoch, text))

    def about(self, *, epoch: int = 0, **named: str) -> dict[str, str | int]:
        """What a line in the log is about, see `logs.about`; the last epoch unless it has one."""
        return about(self.name, epoch or self.epoch, **named)


def programs_missing(target: GroupCheckpoint, seats: Sequence[Participant]) -> tuple[str, ...]:
    """The unmodified programs of a checkpoint that nobody has started."""
    seated = {seat.name for seat in seats}
    return tuple(
        part.member
        for part in target.members
        if part.engine is EngineKind.PROCESS and part.member not in seated
    )


def _incomplete(group: str, missing: MemberRecord) -> AbortedError:
    state = "is lost" if missing.state is MemberState.LOST else "is not attached yet"
    return AbortedError(
        f"group {group} can not begin: member {missing.name} {state}",
        subject=missing.name,
        hint="start it again, or drop it from the group with Detach",
    )
