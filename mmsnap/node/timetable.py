"""When the next run of a schedule is due: pure, without a clock.

Runs lie on a grid of the interval, so that none moves the later ones. What was missed is not made
up for. Who fails again and again waits longer each time, up to a bound, and is on the grid again.
"""

from __future__ import annotations

from typing import Final

BACK_OFF_MAX_NS: Final = 30 * 10**9
# What is postponed may be so for hours, and each time takes the whole group's turn to see it.
_POSTPONED_NS: Final = 10**9


class Timetable:
    """Of one schedule. All times are nanoseconds of one clock that never goes back."""

    def __init__(self, every_ns: int, first_ns: int) -> None:
        self._every_ns = every_ns
        self._first_ns = first_ns
        self.due_ns = first_ns

    def ended(self, now_ns: int, failures: int, *, postponed: bool = False) -> None:
        """A run is over; `failures` is how many failed one after the other, with this one."""
        wait_ns = self._back_off_ns(failures)
        if postponed:
            wait_ns = max(wait_ns, _POSTPONED_NS - self._every_ns)
        self.due_ns = self._next(now_ns + wait_ns)

    def nudged(self, now_ns: int) -> None:
        """What made the last runs fail may be over."""
        self.due_ns = min(self.due_ns, self._next(now_ns))

    def _next(self, after_ns: int) -> int:
        steps = max((after_ns - self._first_ns) // self._every_ns + 1, 0)
        return self._first_ns + steps * self._every_ns

    def _back_off_ns(self, failures: int) -> int:
        if failures < 2:
            return 0
        # No interval is so short that more doublings would stay below the bound.
        return min(self._every_ns << min(failures - 2, 32), BACK_OFF_MAX_NS)


def first_ns(every_ns: int, now_ns: int, age_ns: int | None) -> int:
    """When the first run is due, if the last one before was `age_ns` ago; None: there was none."""
    return now_ns + (every_ns if age_ns is None else min(max(every_ns - age_ns, 0), every_ns))
