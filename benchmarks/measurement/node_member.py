"""A member of a group over several nodes, and the same memory once more outside of any group.

Both regions are of one size, and the same pages of them are written: so the process can be cut as a
member, and alone. As a member it keeps writing, so that in the cut every page that it chose is
dirty (what was copied ahead is dirty again). It notes when it had to wait, on the clock that all
processes of this machine share: so it is known who stood still when, without a question to whoever
cut it.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

import mmsnap
from measurement.writing import PAGE_BYTES, choose_pages, fill
from mmsnap.errors import MmsnapError
from mmsnap.memory import Region

GROUP: Final = "six"
_DIRECTORY_BYTES: Final = 16 << 20
_PAGES_PER_UPDATE: Final = 16
_UPDATES_AT_ONCE: Final = 8
_PACE_SECONDS: Final = 0.0002
_WORTH_NOTING_NS: Final = 20_000
_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Wait:
    """A wait for an update, on the clock of all processes of this machine.

    Attributes:
        left_ns: when the update before it ended: the member still ran.
        asked_ns: when it was asked for.
        entered_ns: when it began: the member ran again.
    """

    left_ns: int
    asked_ns: int
    entered_ns: int

    @property
    def waited_ns(self) -> int:
        return self.entered_ns - self.asked_ns


class NodeMember:
    """A process with both regions."""

    def __init__(self, address: str, name: str, size_bytes: int, pool: Path) -> None:
        self._app = mmsnap.attach(GROUP, name, size=size_bytes + _DIRECTORY_BYTES, address=address)
        self._alone = Region.open(pool, name, size_bytes=size_bytes)
        self._alone.grow(size_bytes)
        self._of_group = self._app.array("words", (size_bytes // 8,), np.int64)
        self._of_alone = np.frombuffer(self._alone.memory(0, size_bytes), np.int64)
        for words in (self._of_group, self._of_alone):
            fill(words)
        self._value = 0
        self._waits: list[Wait] = []

    def obey(self, socket_path: str, token: int) -> None:
        """Lets whoever listens there cut what is outside of the group."""
        self._membership = self._alone.join(socket_path, token, hooks=False)

    def choose(self, fraction: float, seed: int) -> None:
        """Which pages are written next; returns when nothing of the last cut is left to do."""
        for region in (self._app.region, self._alone):
            _settle(region)
        self._value += 1
        places = np.array(choose_pages(self._of_alone.nbytes // PAGE_BYTES, fraction, seed))
        self._updates = np.array_split(places, max(1, len(places) // _PAGES_PER_UPDATE))

    def write_alone(self) -> None:
        """Writes to the chosen pages outside of the group, once."""
        for places in self._updates:
            with self._alone.guard:
                self._of_alone[places] = self._value

    def write(self) -> None:
        """Writes to the chosen pages in the group, in small updates, until `stop`."""
        self._begin_writing(self._app.update(), self._of_group)

    def write_outside(self) -> None:
        """The same outside of the group."""
        self._begin_writing(self._alone.guard, self._of_alone)

    def stop(self) -> list[Wait]:
        """Ends the writing, and tells every wait.

        One for a cut may be missing: it rested between two bursts, and all was over before it
        noticed.
        """
        self._stopped = True
        self._writer.join()
        return self._waits

    def _begin_writing(self, *where: Any) -> None:
        self._stopped, self._written = False, threading.Event()
        self._writer = threading.Thread(target=self._keep_writing, args=where)
        self._writer.start()
        self._written.wait()

    def _keep_writing(
        self, update: AbstractContextManager[object], words: np.ndarray[Any, Any]
    ) -> None:
        clock = time.monotonic_ns
        left_ns = clock()
        self._waits = []
        while not self._stopped:
            for number, places in enumerate(self._updates):
                asked_ns = clock()
                with update:
                    entered_ns = clock()
                    words[places] = self._value
                if entered_ns - asked_ns > _WORTH_NOTING_NS:
                    self._waits.append(Wait(left_ns, asked_ns, entered_ns))
                left_ns = clock()
                if number % _UPDATES_AT_ONCE == 0:
                    time.sleep(_PACE_SECONDS)
            self._written.set()


def _settle(region: Region) -> None:
    """Waits until nothing is left to do, and until nobody else reads what is being moved."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            region.settle()
            return
        except MmsnapError as error:
            if not error.retryable or time.monotonic() > deadline:
                raise
        time.sleep(_PACE_SECONDS)
