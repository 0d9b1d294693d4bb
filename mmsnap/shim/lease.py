"""How long a program may stand still without word from the service."""

from __future__ import annotations

import time


class Lease:
    """Counts by the clock that goes on while the machine sleeps."""

    def __init__(self) -> None:
        self._ends_ns: int | None = None

    def begin(self, lease_ns: int) -> None:
        """It lasts this long from now on; also renews it."""
        self._ends_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + lease_ns

    def end(self) -> None:
        """Nobody stands still any more."""
        self._ends_ns = None

    @property
    def left_seconds(self) -> float | None:
        """Until it ends; None when there is none."""
        if self._ends_ns is None:
            return None
        left_ns = self._ends_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return max(0, left_ns) / 1e9

    @property
    def over(self) -> bool:
        """It has ended, and nobody was told yet."""
        return self.left_seconds == 0
