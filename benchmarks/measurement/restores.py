"""How long until a program has its array back: its first byte, and all of it?

After a kill: the process that wrote is killed with SIGKILL, and an interpreter that runs already
opens the pool; np.load reads a file of the same contents in the same interpreter, in turns. In
place: a process that wrote to every page since its checkpoint goes back to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

import mmsnap
from measurement.contenders import MmsnapContender
from measurement.crew import worker
from measurement.samples import Samples
from measurement.writing import WORDS_PER_PAGE

_DIRTY: Final = 0.01
_RETURNS: Final = 3  # by each process in place, its first included
RESTORES: Final = ("open", "np.load", "np.load, mapped")
IN_PLACE: Final = "restore in place"

Restores = dict[str, dict[str, Samples]]


class Victim(MmsnapContender):
    """The process that is killed, and that goes back in place."""

    def commit(self, file: Path, seed: int) -> None:
        """Checkpoints 1 % new pages, applies them, and saves the same contents with np.save."""
        self.write(_DIRTY, seed)
        self.checkpoint()
        np.save(file, self.words)

    def go_back(self) -> dict[str, float]:
        """Dirties every page, then times the way back to the head."""
        before = int(self.words.sum())
        self.words += 1
        begun = time.perf_counter_ns()
        self.app.restore()
        times = _timed_reading(self.words, begun)
        assert int(self.words.sum()) == before, "restored other contents"
        return times


class Restorer:
    """A running interpreter that has used all three ways once.

    mmsnap only on something small; np.load on the very file, so that the memory it takes is warm:
    cold, it would take several times as long.
    """

    def __init__(self, folder: Path, file: Path) -> None:
        np.load(file)
        np.load(file, mmap_mode="c")
        with mmsnap.open(folder / "small", "small", size="1MiB") as app:
            app.array("words", (WORDS_PER_PAGE,), np.int64)

    def restore(self, ways: tuple[str, ...], pool: Path, file: Path) -> dict[str, dict[str, float]]:
        """Times each way in the order given; all must give the same contents."""
        times: dict[str, dict[str, float]] = {}
        sums = set()
        for way in ways:
            begun = time.perf_counter_ns()
            if way == "open":
                app = mmsnap.open(pool, "bench")
                words = app.array("words")
                times[way] = _timed_reading(words, begun)
                sums.add(int(words.sum()))
                app.close(checkpoint=False)
            else:
                words = np.load(file, mmap_mode="c" if way.endswith("mapped") else None)
                times[way] = _timed_reading(words, begun)
                sums.add(int(words.sum()))
            del words
        assert len(sums) == 1, "the ways gave different contents"
        return times


def measure_restores(
    folder: Path, size_bytes: int, rounds: int, progress: Callable[[str], None]
) -> Restores:
    """`first_ns` and `last_ns` by way: to the first byte, and to one byte of every page."""
    pool, file = folder / "pool", folder / "words.npy"
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in (*RESTORES, IN_PLACE)}
    for number in range(rounds + 1):
        progress(f"restores, round {number} of {rounds}")
        with worker(Victim, pool, size_bytes) as victim:
            victim.ask("commit", file, number)
            in_place = [victim.ask("go_back") for _ in range(_RETURNS)]
        turn = number % len(RESTORES)
        ways = RESTORES[turn:] + RESTORES[:turn]
        with worker(Restorer, folder, file) as restorer:
            times = restorer.ask("restore", ways, pool, file)
        if number:
            taken[IN_PLACE] += in_place
            for way, figures in times.items():
                taken[way].append(figures)
    return {way: _gather(rows) for way, rows in taken.items()}


def _timed_reading(words: np.ndarray, begun_ns: int) -> dict[str, float]:
    words[0].item()
    first_ns = time.perf_counter_ns() - begun_ns
    words[::WORDS_PER_PAGE].sum()
    return {"first_ns": first_ns, "last_ns": time.perf_counter_ns() - begun_ns}


def _gather(rows: list[dict[str, float]]) -> dict[str, Samples]:
    return {figure: Samples([row[figure] for row in rows]) for figure in ("first_ns", "last_ns")}
