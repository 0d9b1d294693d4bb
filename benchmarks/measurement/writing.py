"""The application of the benchmarks: a loop that keeps writing and notes how long it stood still.

The same loop runs for every contender. It knows nothing of how its memory is captured; it only
sees that some write came later than it should have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

PAGE_BYTES = 4096
WORDS_PER_PAGE = PAGE_BYTES // 8
_CHUNK_WORDS = 1 << 20
_ENOUGH_SECONDS = 60.0


class Capture(Protocol):
    """One way to get a consistent copy of the memory out of the running loop."""

    def begin(self) -> None:
        """Called by the loop between two writes; returns when the loop may write on."""

    def finished(self) -> bool:
        """Whether the copy is complete; asked now and then."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Attributes: nanoseconds from one write to the next: across `begin`, and the longest after."""

    begin_ns: int
    after_ns: int

    @property
    def longest_ns(self) -> int:
        return max(self.begin_ns, self.after_ns)


def fill(words: np.ndarray, seed: int = 7) -> None:
    """Writes the same random words into every contender's memory, touching all of it."""
    random = np.random.default_rng(seed)
    for start in range(0, words.size, _CHUNK_WORDS):
        part = words[start : start + _CHUNK_WORDS]
        part[:] = random.integers(0, 1 << 62, part.size)


def choose_pages(page_count: int, fraction: float, seed: int) -> list[int]:
    """Indices of the first word of a random `fraction` of all pages, in random order."""
    random = np.random.default_rng(seed)
    chosen = random.choice(page_count, max(1, round(page_count * fraction)), replace=False)
    return [int(index) for index in chosen * WORDS_PER_PAGE]


def write_once(
    memory: memoryview, places: Sequence[int], value: int, guard: AbstractContextManager[Any]
) -> None:
    """Makes the pages of `places` dirty."""
    for place in places:
        with guard:
            memory[place] = value


def write_through(
    memory: memoryview,
    places: Sequence[int],
    value: int,
    guard: AbstractContextManager[Any],
    capture: Capture,
    pace: Callable[[], None] | None = None,
) -> Gaps:
    """Keeps writing to `places` while `capture` runs, all of them at least once.

    Args:
        memory: words of eight bytes.
        pace: called after each write, to leave the processor to others; its time counts.
    """
    clock = time.perf_counter_ns
    deadline = time.monotonic() + _ENOUGH_SECONDS
    last = clock()
    capture.begin()
    begin_ns, after_ns = 0, 0
    while True:
        for place in places:
            with guard:
                memory[place] = value
            if pace is not None:
                pace()
            now = clock()
            if begin_ns == 0:
                begin_ns = now - last
            elif now - last > after_ns:
                after_ns = now - last
            last = now
        if capture.finished():
            return Gaps(begin_ns, after_ns)
        if time.monotonic() > deadline:
            raise TimeoutError("the capture did not end")
