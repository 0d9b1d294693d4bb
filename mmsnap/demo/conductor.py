"""One trial of the demo: the workers run through the stream, are killed on the way, and end.

The conductor starts them, takes checkpoints at a regular pace, kills all of them with SIGKILL at
given moments, starts them again, and reads the totals in the end. Whether these are right is for
others to judge.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isinf
from pathlib import Path
from random import Random
from typing import Final

from mmsnap.demo.dialogue import Cut, Order, Ready
from mmsnap.demo.keeping import Keeping
from mmsnap.demo.processes import ProcessEndedError, WorkerProcess
from mmsnap.demo.stream import MEMBERS, Totals
from mmsnap.errors import AbortedError

_POLL_SECONDS: Final = 0.01
# Far more than any trial takes; a trial that hangs is a failure, not a reason to wait.
_DEADLINE_SECONDS: Final = 120.0

Tell = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Kill:
    """When all workers are killed: at this many flights, and this much later."""

    flights: int
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came after a kill.

    Attributes:
        lost_flights: how far the stream went back, as far as the workers had told.
        memory_ns: until the slowest worker had its memory, from asking for it.
        running_ns: until all worked again, from the kill; starting interpreters is most of it.
    """

    lost_flights: int
    memory_ns: int
    running_ns: int


@dataclass(slots=True)
class Course:
    """What happened in a trial.

    Attributes:
        totals: by member, in the end.
        resent: messages that restored workers sent again.
        missing: messages that never arrived.
        aborted: checkpoints that were not taken, because their members were killed.
    """

    cuts: list[Cut] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    totals: dict[str, Totals] = field(default_factory=dict)
    resent: int = 0
    missing: int = 0
    aborted: int = 0
    seconds: float = 0.0


def draw_kills(count: int, flights: int, every_seconds: float, random: Random) -> list[Kill]:
    """Moments spread over the stream, each anywhere between two checkpoints or inside one."""
    window = flights * 0.8 / max(1, count)
    return [
        Kill(
            int(flights * 0.1 + window * (number + random.random())),
            every_seconds * random.random(),
        )
        for number in range(count)
    ]


class Conductor:
    """Runs one trial.

    Args:
        rate: flights a second, of all workers together; at most.
        every_seconds: from one checkpoint to the next; infinite for none at all.
        tell: told how many flights were read, and what is going on.
    """

    def __init__(
        self,
        folder: Path,
        keeping: Keeping,
        *,
        rate: float,
        every_seconds: float,
        kills: Sequence[Kill],
        tell: Tell,
    ) -> None:
        self._folder = folder
        self._keeping = keeping
        self._rate = rate
        self._every_seconds = every_seconds
        self._kills = kills
        self._tell = tell
        self._workers: dict[str, WorkerProcess] = {}
        self._working = asyncio.Event()
        self._course = Course()

    async def run(self) -> Course:
        """The trial from its beginning to its end; no process of it is left afterwards."""
        begun = time.monotonic()
        checkpoints = asyncio.create_task(self._take_checkpoints())
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await self._start()
                for kill in self._kills:
                    await self._until(partial(self._have_taken, kill.flights), checkpoints)
                    await asyncio.sleep(kill.delay_seconds)
                    await self._kill_and_restart()
                await self._until(self._idle, checkpoints)
                await self._finish(checkpoints)
        finally:
            checkpoints.cancel()
            await self._kill_all()
        self._course.seconds = time.monotonic() - begun
        return self._course

    # ---- what the workers are at ---------------------------------------------------------

    @property
    def _taken(self) -> int:
        return sum(worker.progress.taken for worker in self._workers.values())

    def _have_taken(self, flights: int) -> bool:
        return self._taken >= flights

    def _idle(self) -> bool:
        return all(worker.progress.idle for worker in self._workers.values())

    async def _until(self, condition: Callable[[], bool], checkpoints: asyncio.Task[None]) -> None:
        while not condition():
            if checkpoints.done():
                checkpoints.result()
            for worker in self._workers.values():
                worker.require_alive()
            self._tell(self._taken, "")
            await asyncio.sleep(_POLL_SECONDS)
        self._tell(self._taken, "")

    # ---- checkpoints ---------------------------------------------------------------------

    async def _take_checkpoints(self) -> None:
        if isinf(self._every_seconds):
            await asyncio.Event().wait()
        while True:
            await self._working.wait()
            next_at = time.monotonic() + self._every_seconds
            workers = self._workers
            try:
                self._course.cuts.append(await self._keeping.checkpoint(workers))
            except (AbortedError, ProcessEndedError):
                # Killed in the middle of it; anything else that aborts a checkpoint is a failure.
                if self._working.is_set() and workers is self._workers:
                    raise
                self._course.aborted += 1
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))

    # ---- workers -------------------------------------------------------------------------

    async def _start(self) -> dict[str, Ready]:
        self._workers = {}
        rate = self._rate / len(MEMBERS)
        for member in MEMBERS:
            self._workers[member] = await WorkerProcess.start(
                member,
                ["--folder", str(self._folder), "--rate", str(rate), *self._keeping.options()],
                self._keeping.environment(member),
                self._folder,
            )
        ready = {member: await worker.ready() for member, worker in self._workers.items()}
        for worker in self._workers.values():
            worker.order(Order.GO)
        self._working.set()
        return ready

    async def _kill_and_restart(self) -> None:
        begun_ns = time.perf_counter_ns()
        self._working.clear()
        await self._kill_all()
        taken = self._taken
        self._count_messages()
        self._tell(taken, f"killed all workers at {taken:,} flights")
        ready = await self._start()
        running_ns = time.perf_counter_ns() - begun_ns
        self._keeping.require_restored(ready)
        back = sum(each.taken for each in ready.values())
        memory_ns = max(each.memory_ns for each in ready.values())
        self._course.recoveries.append(Recovery(max(0, taken - back), memory_ns, running_ns))
        self._tell(back, f"restored, back at {back:,} flights")

    def _count_messages(self) -> None:
        for worker in self._workers.values():
            self._course.resent += worker.progress.resent
            self._course.missing += worker.progress.missing

    async def _kill_all(self) -> None:
        for worker in self._workers.values():
            worker.kill()
        for worker in self._workers.values():
            await worker.gone()

    async def _finish(self, checkpoints: asyncio.Task[None]) -> None:
        checkpoints.cancel()
        await asyncio.wait({checkpoints})
        await self._keeping.conclude(self._workers)
        self._count_messages()
        await asyncio.gather(*(worker.finish() for worker in self._workers.values()))
        self._course.totals = {member: self._keeping.totals(member) for member in MEMBERS}
