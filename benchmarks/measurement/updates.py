"""What does entering and leaving update() cost, alone and beside a busy second thread?

The second thread never gives the interpreter lock away by itself. A guard that let go of the lock
on every call would wait for it each time; the peer is an empty context manager in Python.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final

import mmsnap
from measurement.crew import worker
from measurement.samples import Samples

_PASSES: Final = 500_000  # beside a busy thread many of its slices of 5 ms long

Updates = dict[str, dict[str, Samples]]


class Empty:
    """A context manager that does nothing."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, *raised: object) -> None: ...


class Stopwatch:
    """A process with a region; times passes through `with`."""

    def __init__(self, pool: Path) -> None:
        self._app = mmsnap.open(pool, "updates", size="16MiB")

    def round(self, busy: bool) -> dict[str, float]:
        """Nanoseconds of one pass, by contender."""
        with busy_thread() if busy else Empty():
            return {"update()": _time_update(self._app), "empty": _time_empty(Empty())}


def measure_updates(folder: Path, rounds: int, progress: Callable[[str], None]) -> Updates:
    """Nanoseconds of one pass by "alone" or "beside a busy thread", by contender."""
    taken: dict[str, list[dict[str, float]]] = {"alone": [], "beside a busy thread": []}
    with worker(Stopwatch, folder / "updates") as stopwatch:
        for number in range(rounds + 1):
            progress(f"update(), round {number} of {rounds}")
            for busy, condition in enumerate(taken):
                figures = stopwatch.ask("round", bool(busy))
                if number:
                    taken[condition].append(figures)
    return {
        condition: {name: Samples([row[name] for row in rows]) for name in rows[0]}
        for condition, rows in taken.items()
    }


@contextmanager
def busy_thread() -> Iterator[None]:
    """A thread that computes in Python without a pause."""
    stopped = False

    def spin() -> None:
        while not stopped:
            pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped = True
        thread.join()


def _time_update(app: mmsnap.App) -> float:
    begun = time.perf_counter_ns()
    for _ in repeat(None, _PASSES):
        with app.update():
            pass
    return (time.perf_counter_ns() - begun) / _PASSES


def _time_empty(empty: Empty) -> float:
    begun = time.perf_counter_ns()
    for _ in repeat(None, _PASSES):
        with empty:
            pass
    return (time.perf_counter_ns() - begun) / _PASSES
