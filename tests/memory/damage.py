"""A pool of which one file is damaged: what is wrong must be named, the rest must be had.

The judgement here is that of a user: every checkpoint either shows what was kept, or opening
or verifying it raises CorruptionError.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np

from mmsnap.errors import CorruptionError
from mmsnap.memory import Region
from tests.memory.plain import GRAIN, Bytes, view

CHECKPOINTS = 4


def make(pool: Path) -> dict[int, Bytes]:
    """A pool with a few checkpoints, closed; what each of them holds."""
    chance = np.random.default_rng(1)
    region = Region.open(pool, "r", size_bytes=GRAIN)
    region.grow(GRAIN)
    shown, kept = view(region), {}
    for _ in range(CHECKPOINTS):
        for start in chance.integers(0, GRAIN - 9000, 12):
            shown[start : start + 9000] = chance.integers(0, 256)
        kept[region.checkpoint().epoch] = shown.copy()
    region.close()
    return kept


def files(pool: Path) -> list[Path]:
    return sorted(path for path in pool.rglob("*") if path.is_file() and path.stat().st_size)


def flip(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    # Half of the time in the first bytes, where what most depends on stands.
    at = chance.randrange(min(len(content), chance.choice([9000, len(content)])))
    content[at] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"byte {at} of {path.name}"


def cut(path: Path, chance: random.Random) -> str:
    size = chance.choice([0, chance.randrange(path.stat().st_size), path.stat().st_size // 2])
    with path.open("r+b") as file:
        file.truncate(size)
    return f"{path.name} cut to {size}"


def is_whole(pool: Path, epoch: int, expected: Bytes) -> bool:
    """Whether a checkpoint can be had; AssertionError if it is wrong and nobody says so."""
    try:
        reader = Region.open(pool, "r", mode="r", head=epoch)
    except CorruptionError:
        return False
    shown = view(reader).copy()
    try:
        reader.verify(epoch)
    except CorruptionError:
        return False
    else:
        np.testing.assert_array_equal(shown, expected)
        return True
    finally:
        reader.close()


def assert_goes_on(pool: Path, kept: dict[int, Bytes], whole: list[int]) -> None:
    """The owner gets the head, or is refused; a whole checkpoint can then be made the head."""
    try:
        region = Region.open(pool, "r", mode="r+")
    except CorruptionError:
        if not whole:
            return
        region = Region.open(pool, "r", mode="r+", head=whole[-1])
        np.testing.assert_array_equal(view(region), kept[whole[-1]])
    view(region)[5] = 77
    region.checkpoint("after")
    region.close()


def hunt(pool: Path, seed: int, tries: int, names: str = "*") -> None:
    chance = random.Random(seed)
    kept = make(pool)
    whole_pool = pool.with_name(f"{pool.name}-whole")
    shutil.copytree(pool, whole_pool)
    for _ in range(tries):
        shutil.rmtree(pool)
        shutil.copytree(whole_pool, pool)
        path = chance.choice([path for path in files(pool) if path.match(names)])
        what = chance.choice([flip, cut])(path, chance)
        try:
            whole = [epoch for epoch in kept if is_whole(pool, epoch, kept[epoch])]
            assert_goes_on(pool, kept, whole)
        except Exception as error:
            error.add_note(what)
            raise
