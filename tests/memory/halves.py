"""Updates that change two far places alike, and checkpoints taken meanwhile.

A checkpoint that falls into an update shows one half without the other.
"""

from __future__ import annotations

import threading
from pathlib import Path

from mmsnap.memory import Region
from tests.memory.plain import GRAIN, view

FIRST, SECOND = 100, GRAIN - 100


def hunt(pool: Path, checkpoints: int = 40) -> None:
    region = Region.open(pool, "r", size_bytes=GRAIN)
    region.grow(GRAIN)
    shown = view(region)
    enough = threading.Event()

    def update() -> None:
        value = 0
        while not enough.is_set():
            value = value % 200 + 1
            with region.guard:
                shown[FIRST] = value
                sum(range(300))  # most of the time half is done, so that a cut there is likely
                shown[SECOND] = value

    writers = threading.Thread(target=update)
    writers.start()
    try:
        epochs = [region.checkpoint().epoch for _ in range(checkpoints)]
    finally:
        enough.set()
        writers.join()
    for epoch in epochs:
        reader = Region.open(pool, "r", mode="r", head=epoch)
        kept = view(reader)
        assert kept[FIRST] == kept[SECOND], f"@{epoch}: {kept[FIRST]} and {kept[SECOND]}"
        reader.close()
    region.close()
