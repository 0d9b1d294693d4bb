"""Finds in tests what would be torn in production: writes outside of `update()`.

A write that lies in no update may be cut in the middle by another thread's checkpoint. Looking
costs a scan of the region at every update, so this is for tests alone.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from mmsnap_sdk.app import App


class StrayWriteError(AssertionError):
    """Arrays were written outside of any update.

    Attributes:
        arrays: their names.
    """

    def __init__(self, ranges: dict[str, list[tuple[int, int]]]) -> None:
        self.arrays = sorted(ranges)
        told = "; ".join(
            f"array {name!r} in the pages of its bytes "
            + ", ".join(f"{start} to {end}" for start, end in ranges[name][:3])
            for name in self.arrays
        )
        super().__init__(f"written outside of `with app.update():`: {told}")


class Strict:
    """Watches an app; made by `strict`. A context manager, whose end looks a last time."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._region = app.region
        self._guard = app.region.guard
        self._lock = threading.Lock()
        self._open_count = 0
        self._region.collect()
        self._update_before, app._update = app._update, _WatchedUpdate(self)
        app.before_checkpoint(self.check)

    def check(self) -> None:
        """Raises StrayWriteError if an array was written since the last update ended."""
        with self._lock:
            if self._open_count == 0:
                self._look()

    def stop(self) -> None:
        """Ends watching."""
        self._app._update = self._update_before
        self._app._hooks.remove_before(self.check)

    def __enter__(self) -> Strict:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None:
            self.check()

    def enter_update(self) -> None:
        """Looks for stray writes, if no update is open, then enters one."""
        with self._lock:
            if self._open_count == 0:
                self._look()
            self._open_count += 1
        try:
            self._guard.__enter__()
        except BaseException:
            with self._lock:
                self._open_count -= 1
            raise

    def leave_update(self, *failure: Any) -> None:
        """Leaves an update; what was written until then was written inside."""
        try:
            self._guard.__exit__(*failure)
        finally:
            with self._lock:
                self._open_count -= 1
                if self._open_count == 0:
                    self._region.collect()

    def _look(self) -> None:
        found: dict[str, list[tuple[int, int]]] = {}
        for offset, size_bytes in self._region.peek():
            for name, entry in self._app.arrays.entries().items():
                start = max(offset, entry.offset) - entry.offset
                end = min(offset + size_bytes - entry.offset, entry.size_bytes)
                if start < end:
                    found.setdefault(name, []).append((start, end))
        if found:
            self._region.collect()
            raise StrayWriteError(found)


class _WatchedUpdate:
    """What `app.update()` gives while an app is watched."""

    def __init__(self, strict: Strict) -> None:
        self._strict = strict

    def __enter__(self) -> None:
        self._strict.enter_update()

    def __exit__(self, *failure: Any) -> None:
        self._strict.leave_update(*failure)


def strict(app: App) -> Strict:
    """Makes `app` raise StrayWriteError when an array was written outside of an update.

    It is noticed on entering the next update, before the next checkpoint, at the end of
    `with strict(app):`, and by `check()`; the error names the arrays and which of their bytes, to
    the page. Writes through the app's own calls, like `app.state[...] = ...`, are no strays.
    """
    return Strict(app)
