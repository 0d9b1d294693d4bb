"""For how long each node has not been heard of, by the clock of the one who listens: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Who did not listen for so long does not know what was said meanwhile.
DEAF_SECONDS: Final = 5.0


class Silence:
    """Of nodes that tell another number each time that they say something."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, float]] = {}
        self._listened = float("-inf")

    def heard(self, numbers: Mapping[str, int], now: float) -> None:
        """This is what they tell now."""
        if now - self._listened > DEAF_SECONDS:
            self._last = {node: (number, now) for node, (number, _) in self._last.items()}
        self._listened = now
        for node, number in numbers.items():
            if self._last.get(node, (None, now))[0] != number:
                self._last[node] = number, now

    def seconds(self, node: str, now: float) -> float:
        """How long it has told the same; from now on, of one that never told anything."""
        return now - self._last.setdefault(node, (0, now))[1]
