"""Durations measured again and again: median, 99th percentile and worst of them.

A mean is left out on purpose: one stall of ten milliseconds in a thousand quick rounds is what
people feel, and a mean hides it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmsnap.quantities import format_duration


@dataclass(frozen=True, slots=True)
class Samples:
    """Durations in nanoseconds, in the order in which they were measured."""

    values_ns: Sequence[float]

    @property
    def median_ns(self) -> float:
        return statistics.median(self.values_ns)

    @property
    def p99_ns(self) -> float:
        """Interpolated; with less than a hundred samples close to the worst."""
        if len(self.values_ns) == 1:
            return self.values_ns[0]
        return statistics.quantiles(self.values_ns, n=100, method="inclusive")[98]

    @property
    def worst_ns(self) -> float:
        return max(self.values_ns)

    def record(self) -> dict[str, Any]:
        """What goes into the JSON: the figures and what they were made of."""
        return {
            "median_ns": self.median_ns,
            "p99_ns": self.p99_ns,
            "worst_ns": self.worst_ns,
            "values_ns": list(self.values_ns),
        }

    def cells(self) -> tuple[str, str, str]:
        """Median, p99 and worst for a table."""
        return shown(self.median_ns), shown(self.p99_ns), shown(self.worst_ns)


def shown(duration_ns: float) -> str:
    """A duration for people, with a tenth of a nanosecond where it is that short."""
    return f"{duration_ns:.1f} ns" if duration_ns < 1000 else format_duration(round(duration_ns))
