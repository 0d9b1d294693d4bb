"""Readers that look at older checkpoints again and again while the writer goes on."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from mmsnap.memory import Region
from tests.memory.plain import Bytes, Program, open_region, view

READERS_MAX = 4


def assert_unchanged(reader: Region, expected: Bytes) -> None:
    np.testing.assert_array_equal(view(reader)[: expected.size], expected)


def watch(pool: Path, seed: int, steps: int = 90) -> None:
    """Every reader shows its checkpoint as it was kept, from its first look to its last."""
    chance = random.Random(seed)
    program = Program(seed)
    region = open_region(pool)
    readers: list[tuple[Region, Bytes]] = []
    for _ in range(steps):
        region = program.next_step().real(region)
        kept = program.plain.kept
        if kept and len(readers) < READERS_MAX:
            epoch = chance.choice(sorted(kept))
            readers.append((Region.open(pool, "r", mode="r", head=epoch), kept[epoch]))
        elif readers and chance.random() < 0.2:
            reader, expected = readers.pop(chance.randrange(len(readers)))
            assert_unchanged(reader, expected)
            reader.close()
        if readers:
            assert_unchanged(*chance.choice(readers))
    for reader, expected in readers:
        assert_unchanged(reader, expected)
        reader.close()
    region.settle()
    region.verify()
    assert region.usage().pending_apply_count == 0
    region.close()
