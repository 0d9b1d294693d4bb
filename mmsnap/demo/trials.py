"""The trials of the demo, and how they came out: undisturbed, kept as a group, kept one by one.

Every trial sees the same flights and has the same workers; the totals of each are compared, to the
last bit, with those that the flights add up to without any processes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from mmsnap.demo.conductor import Conductor, Course, Kill, Tell, draw_kills
from mmsnap.demo.keeping import AsGroup, Keeping, OneByOne
from mmsnap.demo.processes import agent
from mmsnap.demo.stream import MEMBERS, Records, Totals, add, totals_shape
from mmsnap.demo.worker import STREAM_FILE
from mmsnap_sdk import aio

_MEMORY_FOLDER: Final = Path("/dev/shm")
_POOL_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Pace:
    """How a trial goes.

    Attributes:
        seconds: that the stream takes when nothing stops it.
        every_seconds: from one checkpoint to the next.
    """

    seconds: float = 10.0
    every_seconds: float = 0.2
    kills: int = 2


# A stream that takes no time is read as fast as the workers can.
_UNDISTURBED: Final = Pace(seconds=1e-3, every_seconds=inf, kills=0)


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that is over.

    Attributes:
        lost: updates that should be in the totals and are not.
        duplicated: updates that are in the totals twice.
        equal: all totals are as they should be, to the last bit.
    """

    title: str
    course: Course
    lost: int
    duplicated: int
    equal: bool


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for pools and sockets that is gone afterwards; in memory if there is room."""
    roomy = _MEMORY_FOLDER.is_dir() and shutil.disk_usage(_MEMORY_FOLDER).free >= _POOL_BYTES
    folder = tempfile.mkdtemp(prefix="mmsnap-demo-", dir=_MEMORY_FOLDER if roomy else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


class Trials:
    """Where the trials are run: a folder, a node service, the flights."""

    def __init__(self, folder: Path, address: str, flights: Records, tell: Tell) -> None:
        self._folder = folder
        self._address = address
        self._flights = flights
        self._tell = tell
        self._expected = expected_totals(flights)
        np.save(folder / STREAM_FILE, flights)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, flights: Records, tell: Tell) -> AsyncIterator[Trials]:
        """Starts a node service in `folder`; it ends with the block."""
        pool = folder / "pool"
        pool.mkdir()
        async with agent(pool, folder) as address:
            yield cls(folder, address, flights, tell)

    async def undisturbed(self) -> Trial:
        """Nobody is killed and nothing is checkpointed, as fast as the workers can."""
        async with aio.Client(self._address) as client:
            keeping = AsGroup(client, self._folder / "pool", "undisturbed")
            return await self._run("undisturbed", keeping, _UNDISTURBED, [])

    async def as_group(self, pace: Pace, random: Random) -> Trial:
        """The workers are one group, checkpointed at one cut."""
        kills = draw_kills(pace.kills, self._count, pace.every_seconds, random)
        async with aio.Client(self._address) as client:
            keeping = AsGroup(client, self._folder / "pool", "flights")
            return await self._run("one group", keeping, pace, kills)

    async def one_by_one(self, pace: Pace, random: Random) -> Trial:
        """Every worker is checkpointed by itself, as often as the group was, in turns."""
        kills = draw_kills(pace.kills, self._count, pace.every_seconds, random)
        keeping = OneByOne(self._folder / "one-by-one")
        pace = Pace(pace.seconds, pace.every_seconds / len(MEMBERS), pace.kills)
        return await self._run("one by one", keeping, pace, kills)

    @property
    def _count(self) -> int:
        return int(self._flights.shape[1])

    async def _run(self, title: str, keeping: Keeping, pace: Pace, kills: list[Kill]) -> Trial:
        self._tell(0, title)
        course = await Conductor(
            self._folder,
            keeping,
            rate=self._count / pace.seconds,
            every_seconds=pace.every_seconds,
            kills=kills,
            tell=self._tell,
        ).run()
        return _judged(title, course, self._expected)


def expected_totals(flights: Records) -> dict[str, Totals]:
    """What the flights add up to, by member, without any processes."""
    expected = {}
    for member, records in zip(MEMBERS, flights, strict=True):
        expected[member] = np.zeros(totals_shape(records), np.int64)
        add(expected[member], records)
    return expected


def _judged(title: str, course: Course, expected: dict[str, Totals]) -> Trial:
    lost = duplicated = 0
    equal = True
    for member in MEMBERS:
        equal = equal and np.array_equal(course.totals[member], expected[member])
        excess = course.totals[member][..., 0] - expected[member][..., 0]
        lost -= int(excess[excess < 0].sum())
        duplicated += int(excess[excess > 0].sum())
    return Trial(title, course, lost, duplicated, equal)
