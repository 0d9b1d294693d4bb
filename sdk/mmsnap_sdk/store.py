"""The cells of a region, safe to use from many threads and beside cuts and restores.

Every change lies inside an update, so no checkpoint sees half of it. A restore replaces the
region's bytes, also one that a node service orders, without this module being asked: the stamp
in the bytes then differs from the one known here, and everything is read anew before it is
used. What is derived from cells is kept by others, who are told to forget it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from mmsnap.errors import MmsnapError, ReadOnlyError
from mmsnap.memory import Guard, Region
from mmsnap_sdk.cells import Cells
from mmsnap_sdk.layout import STAMP_WORD, CellKind, damaged
from mmsnap_sdk.space import PAGE_BYTES, Space

# No stamp is negative: from now on every access goes the slow way, and is refused there.
_ENDED = -1


class _Step:
    """A change of ours that is made whole or not at all, and so is no update cut short by an error.

    `with app.update()` around it is: there the exception that leaves it says what is half done.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        # Taken inside the guard only, never the other way round; never held while waiting.
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._guard.__enter__()
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
        if isinstance(error, Exception):
            self._guard.__exit__(None, None, None)
        else:
            self._guard.__exit__(kind, error, trace)  # an interrupt may come anywhere


class Store:
    """Reads and writes cells; the one owner of `Cells` and `Space`.

    `current()` is cheap and must be asked before anything remembered is trusted, inside an
    update when it has to stay true.
    """

    def __init__(self, region: Region) -> None:
        self.region = region
        self.guard = region.guard
        self.space = Space(region)
        self.step = _Step(self.guard)
        self._cells = Cells(region, self.space)
        self._ended: MmsnapError | None = None
        self._reloaded: list[Callable[[], Iterable[tuple[int, int]]]] = []

    def on_reload(self, reloaded: Callable[[], Iterable[tuple[int, int]]]) -> None:
        """Calls `reloaded` whenever all cells may be others: it drops what it derived from
        them and returns the parts of the region that are used by what it finds now."""
        self._reloaded.append(reloaded)

    def current(self) -> None:
        """Makes sure that what is known of the cells is what the region holds.

        Raises:
            CorruptionError: after a restore, the bytes make no sense.
            ForkedError, MmsnapError: this is a forked child, or the app is closed.
        """
        if self._cells.words[STAMP_WORD] != self._cells.stamp:
            self.require_open()
            with self.step:
                self._reload()

    def open(self) -> None:
        """Reads the cells for the first time, or makes the first ones in an empty region."""
        with self.step:
            self._cells.stamp = _ENDED
            self._reload()

    def keys(self, kind: CellKind) -> list[str]:
        """The keys of a kind."""
        with self.step:
            self.current()
            return self._cells.keys(kind)

    def read(self, kind: CellKind, key: str) -> bytes | None:
        """The value of a cell; None: there is no such cell."""
        with self.step:
            self.current()
            return self._cells.read(kind, key)

    def write(self, kind: CellKind, key: str, value: bytes) -> None:
        """Sets the value of a cell; the caller is inside the guard and has the lock.

        Raises:
            PoolFullError: no room for another block of cells; the old value stays.
            ReadOnlyError: the region was opened for reading.
        """
        self.current()
        self.require_writable()
        self._cells.write(kind, key, value)

    def delete(self, kind: CellKind, key: str) -> None:
        """Removes a cell, called like `write`; KeyError: there is none."""
        self.current()
        self.require_writable()
        self._cells.delete(kind, key)

    def require_writable(self) -> None:
        """ReadOnlyError when the region was opened for reading."""
        if self.region.read_only:
            raise ReadOnlyError(
                f"region {self.region.name!r} is open for reading",
                subject=self.region.name,
                hint='open it with mode="r+" to change it',
            )

    def end(self, why: MmsnapError) -> None:
        """From now on every access raises `why`: the region is closed, or this is a child."""
        self._ended = why
        self._cells.stamp = _ENDED

    def require_open(self) -> None:
        """Raises why nothing can be done any more, if so."""
        if self._ended is not None:
            raise type(self._ended)(
                self._ended.message, subject=self._ended.subject, hint=self._ended.hint
            )

    def _reload(self) -> None:
        if self._cells.words[STAMP_WORD] == self._cells.stamp:
            return
        try:
            if self._is_empty():
                self._cells.create()
            else:
                self._cells.load()
            used = [part for reloaded in self._reloaded for part in reloaded()]
            self.space.rebuild(self._cells.blocks() + used)
        except BaseException:
            self._cells.stamp = _ENDED
            raise

    def _is_empty(self) -> bool:
        region = self.region
        if region.extent_bytes >= PAGE_BYTES and any(region.memory(0, PAGE_BYTES)):
            return False
        if region.read_only:
            raise damaged(f"region {region.name!r}", "there is nothing in it to read")
        return True
