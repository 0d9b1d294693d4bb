"""Something done at a regular interval, in one daemon thread."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Schedule:
    """Calls `work` again and again, an interval after the end of the last call.

    `work` must not raise. A stopped schedule can not be started again.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, interval_ns: int) -> None:
        """Begins; the first call comes after one interval."""
        self._thread = threading.Thread(
            target=self._run, args=(interval_ns / 1e9,), name=f"mmsnap-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Returns when no call is running and none will come. May be called from `work`."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, interval: float) -> None:
        while not self._stopped.wait(interval):
            self._work()
