"""The two ways in which the demo keeps its workers' memory: as one group, or each for itself.

Everything else in the demo is the same for both, so that what differs in the end comes from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final, Protocol

import numpy as np

import mmsnap
from mmsnap.demo.dialogue import Cut, Ready
from mmsnap.demo.processes import WorkerProcess, without_mmsnap_settings
from mmsnap.demo.stream import MEMBERS, Totals
from mmsnap.errors import MmsnapError
from mmsnap_sdk import aio

_KEPT: Final = 3

Workers = Mapping[str, WorkerProcess]


class BrokenPromiseError(MmsnapError):
    """Workers came back to something else than mmsnap promises."""


class Keeping(Protocol):
    """How checkpoints of the workers are taken, and where their memory is found."""

    def environment(self, member: str) -> dict[str, str]:
        """For a worker's process."""

    def options(self) -> Sequence[str]:
        """For a worker's command line."""

    async def checkpoint(self, workers: Workers) -> Cut:
        """Takes the next checkpoint; what AbortedError says was not taken."""

    def require_restored(self, ready: Mapping[str, Ready]) -> None:
        """Workers that were killed are back: BrokenPromiseError unless to what they must be."""

    async def conclude(self, workers: Workers) -> None:
        """The workers have nothing left to do: keeps their last state, in which they end."""

    def totals(self, member: str) -> Totals:
        """The totals in the pool, after the worker has ended."""


class AsGroup:
    """The workers are members of one group of a node service, checkpointed at one cut."""

    def __init__(self, client: aio.Client, pool: Path, group: str) -> None:
        self._client = client
        self._pool = pool
        self._group = group
        self._kept: list[str] = []
        self._newest = 0

    def environment(self, member: str) -> dict[str, str]:
        return without_mmsnap_settings() | {
            "MMSNAP_ADDRESS": self._client.address,
            "MMSNAP_GROUP": self._group,
            "MMSNAP_MEMBER": member,
        }

    def options(self) -> Sequence[str]:
        return ()

    async def checkpoint(self, workers: Workers) -> Cut:
        taken = await self._client.checkpoint(self._group)
        self._newest = taken.epoch
        self._kept.append(taken.name)
        if len(self._kept) > _KEPT:
            await self._client.delete_checkpoint(self._group, self._kept.pop(0))
        return Cut(taken.epoch, taken.pause_ns, taken.bytes_written)

    def require_restored(self, ready: Mapping[str, Ready]) -> None:
        for member, each in ready.items():
            _require_newest(member, each, self._newest)
        if len({each.epoch for each in ready.values()}) > 1:
            epochs = {member: each.epoch for member, each in ready.items()}
            raise BrokenPromiseError(f"the members came back to different epochs: {epochs}")

    async def conclude(self, workers: Workers) -> None:
        await self._client.checkpoint(self._group, "final")

    def totals(self, member: str) -> Totals:
        return _totals(self._pool, f"{self._group}.{member}")


class OneByOne:
    """Each worker has a region of its own and takes checkpoints of itself, in turns."""

    def __init__(self, pool: Path) -> None:
        self._pool = pool
        self._turns = cycle(MEMBERS)
        self._newest: dict[str, int] = {}

    def environment(self, member: str) -> dict[str, str]:
        return without_mmsnap_settings()

    def options(self) -> Sequence[str]:
        return "--pool", str(self._pool)

    async def checkpoint(self, workers: Workers) -> Cut:
        member = next(self._turns)
        cut = await workers[member].checkpoint()
        self._newest[member] = cut.epoch
        return cut

    def require_restored(self, ready: Mapping[str, Ready]) -> None:
        for member, each in ready.items():
            _require_newest(member, each, self._newest.get(member, 0))

    async def conclude(self, workers: Workers) -> None:
        """Nothing to do: an app that stands alone takes a last checkpoint when it is closed."""

    def totals(self, member: str) -> Totals:
        return _totals(self._pool, member)


def _require_newest(member: str, ready: Ready, newest: int) -> None:
    """A checkpoint whose call had returned is never lost; one under way may be there or not."""
    if (ready.epoch or 0) < newest:
        raise BrokenPromiseError(
            f"{member} came back to epoch {ready.epoch}, but {newest} was committed", subject=member
        )


def _totals(pool: Path, region: str) -> Totals:
    with mmsnap.open(pool, region, mode="r") as app:
        return np.array(app.array("totals"))
