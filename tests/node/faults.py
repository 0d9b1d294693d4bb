"""Faults that a service can be started with, to see that the tests find them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from mmsnap.catalog import GroupCheckpoint, ScheduleOutcome, SqliteCatalog
from mmsnap.errors import BusyError
from mmsnap.group import CheckpointOperation, Effect
from mmsnap.group.messages import CutDone, EpochReport
from mmsnap.node import live_group, regions, scheduled_run, sweep
from mmsnap.node.conductor import Conductor


class _RunsAhead(CheckpointOperation):
    """Goes on to the next step as soon as the first member has answered."""

    def _when_answered(self, now_ns: int) -> list[Effect]:
        if self.step in ("quiesce", "cut"):
            for member in self._awaited:
                self._stands_still(member, 0, now_ns)
            self._awaited.clear()
        return super()._when_answered(now_ns)


def _runs_ahead() -> None:
    live_group.CheckpointOperation = _RunsAhead  # type: ignore[misc]


def _forgets_commits() -> None:
    """Members in doubt are told that everything was aborted."""
    SqliteCatalog.committed_epochs = lambda self, group: []  # type: ignore[method-assign]
    SqliteCatalog.is_committed = lambda self, group, epoch: False  # type: ignore[method-assign]


def _breaks() -> None:
    """The thread of the members' lines fails in the middle of a cut."""

    def receive(self: Conductor, member: str, report: EpochReport, now_ns: int) -> None:
        if isinstance(report, CutDone):
            raise RuntimeError("a fault of the test")
        _receive(self, member, report, now_ns)

    _receive = Conductor.receive
    Conductor.receive = receive  # type: ignore[method-assign]


def _sweeps_often() -> None:
    """No fault, but what happens once a minute happens all the time."""
    sweep.INTERVAL_SECONDS = 0.3  # type: ignore[misc]


def _does_not_sweep() -> None:
    """What was forgotten stays until somebody else finds it."""

    async def nothing(self: sweep.Sweeper) -> set[str]:
        return set()

    sweep.Sweeper._groups_here = nothing  # type: ignore[method-assign]


def _reads_slowly(seconds: float = 1.0) -> None:
    """A verification takes seconds from one member to the next."""

    def verify(*words: Any) -> None:
        time.sleep(seconds)
        _verify(*words)

    _verify = regions.verify_checkpoint
    regions.verify_checkpoint = verify
    _sweeps_often()


def _full_for_a_while() -> None:
    """The medium has no room for how the first runs of a schedule went."""

    def put(self: SqliteCatalog, group: str, outcome: ScheduleOutcome) -> None:
        nonlocal times
        times += 1
        if times <= 4:
            raise sqlite3.OperationalError("database or disk is full")
        _put(self, group, outcome)

    times = 0
    _put = SqliteCatalog.put_schedule_outcome
    SqliteCatalog.put_schedule_outcome = put  # type: ignore[method-assign]


def _lets_go_late() -> None:
    """Something lies between a run's checkpoint and what retention lets go."""

    async def prune(*words: Any, **named: Any) -> list[GroupCheckpoint]:
        await asyncio.sleep(1.0)
        return await _prune(*words, **named)

    _prune = scheduled_run.prune_checkpoints
    scheduled_run.prune_checkpoints = prune


def _too_busy_to_let_go() -> None:
    async def prune(*words: Any, **named: Any) -> list[GroupCheckpoint]:
        raise BusyError("group g is busy")

    scheduled_run.prune_checkpoints = prune


FAULTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "runs ahead": _runs_ahead,
    "forgets commits": _forgets_commits,
    "breaks": _breaks,
    "sweeps often": _sweeps_often,
    "does not sweep": _does_not_sweep,
    "reads slowly": _reads_slowly,
    "reads very slowly": lambda: _reads_slowly(32.0),
    "medium is full for a while": _full_for_a_while,
    "lets go late": _lets_go_late,
    "is too busy to let go": _too_busy_to_let_go,
}
