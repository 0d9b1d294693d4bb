"""Who is measured: mmsnap, and what people use today to get a consistent copy of an array.

`Contender` runs the loop; what differs is where the array lives and how it is captured. np.save,
pickle and fork() are called from the loop itself, because that is the only place where nothing is
half written; mmsnap is called from a second thread, because its update() keeps the cut away from
a write.
"""

from __future__ import annotations

import mmap
import os
import pickle
import queue
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import mmsnap
from measurement.writing import (
    PAGE_BYTES,
    Capture,
    choose_pages,
    fill,
    write_once,
    write_through,
)

# Room for what mmsnap keeps about the arrays beside them.
_DIRECTORY_BYTES = 16 << 20


class MmsnapCapture:
    """app.checkpoint() in a thread of its own."""

    def __init__(self, app: mmsnap.App) -> None:
        self._app = app
        self._orders: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._done = threading.Event()
        self.taken: Any = None
        self.took_ns = 0
        self._failure: BaseException | None = None
        threading.Thread(target=self._serve, name="checkpoints", daemon=True).start()

    def begin(self) -> None:
        self._done.clear()
        self._orders.put(None)

    def finished(self) -> bool:
        if not self._done.is_set():
            return False
        if self._failure is not None:
            raise self._failure
        return True

    def _serve(self) -> None:
        while True:
            self._orders.get()
            begun_ns = time.perf_counter_ns()
            try:
                self.taken = self._app.checkpoint()
            except BaseException as failure:
                self._failure = failure
            self.took_ns = time.perf_counter_ns() - begun_ns
            self._done.set()


class ForkCapture:
    """fork(); the child has the copy, and ends at once."""

    def __init__(self) -> None:
        self._child: int | None = None

    def begin(self) -> None:
        self._child = os.fork()
        if self._child == 0:
            os._exit(0)

    def finished(self) -> bool:
        if self._child is not None and os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = None
        return self._child is None


class SaveCapture:
    """np.save, in the loop."""

    def __init__(self, words: np.ndarray, file: Path) -> None:
        self._words, self._file = words, file

    def begin(self) -> None:
        np.save(self._file, self._words)

    def finished(self) -> bool:
        return True


class PickleCapture:
    """pickle with protocol 5, in the loop."""

    def __init__(self, words: np.ndarray, file: Path) -> None:
        self._words, self._file = words, file

    def begin(self) -> None:
        with self._file.open("wb") as stream:
            pickle.dump(self._words, stream, protocol=5)

    def finished(self) -> bool:
        return True


class Contender:
    """An array, the loop that writes it, and the ways to capture it."""

    words: np.ndarray
    captures: dict[str, Capture]
    guard: AbstractContextManager[Any] = nullcontext()

    def __init__(self, words: np.ndarray) -> None:
        self.words = words
        self._memory = words.data.cast("B").cast("q")
        self._page_count = words.nbytes // PAGE_BYTES
        self._value = 0

    def settle(self) -> None:
        """Waits until nothing of an earlier round is still being done."""

    def write(self, fraction: float, seed: int) -> None:
        """Makes a random `fraction` of the pages dirty."""
        self._value += 1
        places = choose_pages(self._page_count, fraction, seed)
        write_once(self._memory, places, self._value, self.guard)

    def round(self, name: str, fraction: float, seed: int) -> dict[str, float]:
        """One measurement: dirties the pages, captures, writes the same pages again meanwhile.

        Returns:
            Figures in nanoseconds and bytes: `stall_ns` the longest gap of the loop, and
            `write_ns` the longest that did not contain the call of the capture.
        """
        capture = self.captures[name]
        self.write(fraction, seed)
        self._value += 1
        places = choose_pages(self._page_count, fraction, seed)
        gaps = write_through(self._memory, places, self._value, self.guard, capture)
        return {"stall_ns": gaps.longest_ns, "write_ns": gaps.after_ns}


class MmsnapContender(Contender):
    """An array of an mmsnap region."""

    def __init__(self, pool: Path, size_bytes: int) -> None:
        self.app = mmsnap.open(
            pool, "bench", size=size_bytes + _DIRECTORY_BYTES, keep_last=1, medium="dram"
        )
        super().__init__(self.app.array("words", (size_bytes // 8,), np.int64))
        self.guard = self.app.update()
        self._capture = MmsnapCapture(self.app)
        self.captures = {"mmsnap": self._capture}
        if self.app.restored is None:
            fill(self.words)
            self.checkpoint()

    def checkpoint(self) -> None:
        """Commits everything, and waits until it is applied and tracking is armed."""
        self.app.checkpoint()
        self.settle()

    def settle(self) -> None:
        self.app.region.settle()

    def round(self, name: str, fraction: float, seed: int) -> dict[str, float]:
        # A checkpoint first: the pages of this round are then the only dirty ones.
        self.checkpoint()
        figures = super().round(name, fraction, seed)
        taken = self._capture.taken
        self.settle()
        return figures | {
            "pause_ns": taken.pause_ns,
            "commit_ns": self._capture.took_ns,
            "bytes_written": taken.bytes_written,
        }


class PlainContender(Contender):
    """An array in anonymous memory, with pages of 4 KiB or with huge ones."""

    def __init__(self, folder: Path, size_bytes: int, huge_pages: bool) -> None:
        area = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        area.madvise(mmap.MADV_HUGEPAGE if huge_pages else mmap.MADV_NOHUGEPAGE)
        super().__init__(np.frombuffer(area, np.int64))
        fill(self.words)
        if huge_pages:
            self.captures = {"fork, huge pages": ForkCapture()}
        else:
            self.captures = {
                "fork": ForkCapture(),
                "np.save": SaveCapture(self.words, folder / "words.npy"),
                "pickle 5": PickleCapture(self.words, folder / "words.pickle"),
            }
