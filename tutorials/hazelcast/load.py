"""A client that keeps writing and reading while the cluster is checkpointed.

It notes every write that was acknowledged, the longest time it waited for one, and every error.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

MAP: Final = "load"
_KEYS: Final = 97


class Load:
    """Writes ever higher numbers; `with Load(client) as load:` runs it meanwhile."""

    def __init__(self, client: Any) -> None:
        self._map = client.get_map(MAP).blocking()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.acknowledged: dict[int, int] = {}
        self.longest_seconds = 0.0
        self.errors: list[str] = []
        self.writes = 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def lost(self) -> int:
        """How many keys show something older than what was acknowledged."""
        now = self._map.get_all(list(self.acknowledged))
        return sum(now.get(key, -1) < number for key, number in self.acknowledged.items())

    @staticmethod
    def torn(client: Any) -> int:
        """How many keys are not of one instant.

        Numbers go up by one and the keys in turn: at any instant all values lie within as many
        numbers as there are keys. What is older was captured earlier than the newest.
        """
        values = client.get_map(MAP).blocking().get_all(list(range(_KEYS))).values()
        newest = max(values, default=0)
        return sum(value <= newest - _KEYS for value in values)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            key = number % _KEYS
            begun = time.monotonic()
            try:
                self._map.set(key, number)
                if self._map.get(key) != number:
                    self.errors.append(f"read something else than what was written to {key}")
            except Exception as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            else:
                self.acknowledged[key] = number
                self.writes += 1
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - begun)
