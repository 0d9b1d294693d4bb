"""For how long each node has not been heard of, by the clock of the one who listens: pure."""

from __future__ import annotations

from collections.abc import Mapping


class Silence:
    """Of nodes that tell another number each time that they say something."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, float]] = {}

    def heard(self, numbers: Mapping[str, int], now: float) -> None:
        """This is what they tell now."""
        for node, number in numbers.items():
            if self._last.get(node, (None, now))[0] != number:
                self._last[node] = number, now

    def seconds(self, node: str, now: float) -> float:
        """How long it has told the same; from now on, of one that never told anything."""
        return now - self._last.setdefault(node, (0, now))[1]
