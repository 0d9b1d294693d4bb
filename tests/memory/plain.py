"""A region as plain arrays in memory, and random programs that both a region and it can run.

A program is a sequence of steps drawn from a seed. Each step changes the plain arrays and does
the same to the region; what the region then shows, and what every checkpoint of it holds, must
be equal byte for byte. A program of a seed is the same in every process, so that one process
can run it, be killed, and another can tell what must be found.
"""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmsnap.errors import MmsnapError, PauseExceededError
from mmsnap.memory import Region

PAGE = 4096
GRAIN = 2 << 20  # a region grows by this
EXTENT_MAX = 3 * GRAIN
CHECKPOINTS_MAX = 9

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


@dataclass
class Plain:
    """What a region shows (``now``) and keeps."""

    now: Bytes = field(default_factory=lambda: np.zeros(GRAIN, np.uint8))
    kept: dict[int, Bytes] = field(default_factory=dict)
    pinned: set[int] = field(default_factory=set)
    head: int = 0  # epoch; 0: none
    highest: int = 0

    def show_head(self) -> None:
        extent = self.now.size
        self.now = np.zeros(extent, np.uint8)  # what grew since is zeros in it, and stays grown
        if self.head:
            self.now[: self.kept[self.head].size] = self.kept[self.head]


class Step:
    """Something done to a region and to its plain counterpart alike."""

    def plain(self, plain: Plain) -> None:
        raise NotImplementedError

    def real(self, region: Region) -> Region:
        """Returns the region to go on with."""
        raise NotImplementedError


def view(region: Region) -> Bytes:
    """All bytes of a region that may be touched."""
    return np.frombuffer(region.memory(0, region.extent_bytes), np.uint8)


@dataclass(frozen=True)
class Write(Step):
    """Through a NumPy view, at any offset; or by the kernel, read(2) into the memory."""

    offset: int
    bytes: bytes
    by_kernel: bool

    def plain(self, plain: Plain) -> None:
        plain.now[self.offset : self.offset + len(self.bytes)] = np.frombuffer(self.bytes, np.uint8)

    def real(self, region: Region) -> Region:
        memory = region.memory(self.offset, len(self.bytes))
        if not self.by_kernel:
            np.frombuffer(memory, np.uint8)[:] = np.frombuffer(self.bytes, np.uint8)
            return region
        source = os.memfd_create("source")
        try:
            os.write(source, self.bytes)
            os.lseek(source, 0, os.SEEK_SET)
            with open(source, "rb", buffering=0, closefd=False) as file:
                assert file.readinto(memory) == len(self.bytes)
        finally:
            os.close(source)
        return region


@dataclass(frozen=True)
class Checkpoint(Step):
    epoch: int

    def plain(self, plain: Plain) -> None:
        plain.kept[self.epoch] = plain.now.copy()
        plain.head = plain.highest = self.epoch

    def real(self, region: Region) -> Region:
        record = region.checkpoint()
        assert record.epoch == self.epoch
        assert record.consistency == "application"
        return region


@dataclass(frozen=True)
class AbortedCheckpoint(Step):
    """One that no budget allows: whatever it had collected must be in the next."""

    def plain(self, plain: Plain) -> None:
        pass

    def real(self, region: Region) -> Region:
        with contextlib.suppress(PauseExceededError):
            record = region.checkpoint(max_pause_ns=1)
            raise AssertionError(f"{record} took no time")
        return region


@dataclass(frozen=True)
class Collect(Step):
    def plain(self, plain: Plain) -> None:
        pass

    def real(self, region: Region) -> Region:
        region.collect()
        return region


@dataclass(frozen=True)
class Restore(Step):
    epoch: int

    def plain(self, plain: Plain) -> None:
        plain.head = self.epoch
        plain.show_head()

    def real(self, region: Region) -> Region:
        region.restore(self.epoch or Region.EMPTY_HEAD)
        return region


@dataclass(frozen=True)
class Delete(Step):
    epoch: int

    def plain(self, plain: Plain) -> None:
        del plain.kept[self.epoch]

    def real(self, region: Region) -> Region:
        region.delete(self.epoch)
        return region


@dataclass(frozen=True)
class Pin(Step):
    epoch: int
    pinned: bool

    def plain(self, plain: Plain) -> None:
        (plain.pinned.add if self.pinned else plain.pinned.discard)(self.epoch)

    def real(self, region: Region) -> Region:
        region.pin(self.epoch, self.pinned)
        return region


@dataclass(frozen=True)
class Grow(Step):
    def plain(self, plain: Plain) -> None:
        plain.now = np.concatenate([plain.now, np.zeros(GRAIN, np.uint8)])

    def real(self, region: Region) -> Region:
        region.grow(region.extent_bytes + GRAIN)
        return region


@dataclass(frozen=True)
class Reopen(Step):
    def plain(self, plain: Plain) -> None:
        plain.show_head()

    def real(self, region: Region) -> Region:
        region.close()
        return open_region(region.pool)


@dataclass(frozen=True)
class Settle(Step):
    def plain(self, plain: Plain) -> None:
        pass

    def real(self, region: Region) -> Region:
        try:
            region.settle()
        except MmsnapError as error:
            if not error.retryable:  # as it is while a reader keeps the base where it is
                raise
        return region


def open_region(pool: Path) -> Region:
    region = Region.open(pool, "r", size_bytes=EXTENT_MAX)
    if region.extent_bytes == 0:
        region.grow(GRAIN)
    return region


class Program:
    """The steps of a seed; each depends on what those before made of ``plain``."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.plain = Plain()

    def next_step(self) -> Step:
        """Draws a step and does it to ``plain``."""
        step = self._draw()
        step.plain(self.plain)
        return step

    def _draw(self) -> Step:
        chance, plain = self._chance, self.plain
        deletable = sorted(set(plain.kept) - plain.pinned - {plain.head})
        kind = chance.random()
        if kind < 0.45:
            return self._draw_write()
        if kind < 0.62:
            if len(plain.kept) < CHECKPOINTS_MAX:
                return Checkpoint(plain.highest + 1)
            if deletable:
                return Delete(chance.choice(deletable))
        if kind < 0.69:
            return AbortedCheckpoint()
        if kind < 0.79 and plain.kept:
            return Restore(chance.choice([*sorted(plain.kept), plain.head]))
        if kind < 0.80:
            return Restore(0)
        if kind < 0.87 and deletable:
            return Delete(chance.choice(deletable))
        if kind < 0.90 and plain.kept:
            epoch = chance.choice(sorted(plain.kept))
            return Pin(epoch, epoch not in plain.pinned)
        if kind < 0.92 and plain.now.size < EXTENT_MAX:
            return Grow()
        if kind < 0.94:
            return Reopen()
        return Settle() if kind < 0.97 else Collect()

    def _draw_write(self) -> Write:
        chance = self._chance
        size = min(chance.choice([1, 8, 100, PAGE, 3 * PAGE, 200_000]), self.plain.now.size)
        offset = chance.randrange(self.plain.now.size - size + 1)
        if chance.random() < 0.3:
            offset -= offset % PAGE
        # One byte value a write is enough to tell writes apart, and quick.
        content = bytes([chance.randrange(256)]) * size
        return Write(offset, content, by_kernel=chance.random() < 0.3)


def assert_shows(region: Region, expected: Bytes) -> None:
    shown = view(region)
    assert shown.size == expected.size, f"{shown.size} bytes, not {expected.size}"
    different = np.flatnonzero(shown != expected)
    if different.size:
        first = int(different[0])
        raise AssertionError(
            f"{different.size} bytes differ, the first at {first} (page {first // PAGE})"
        )


def assert_keeps(region: Region, plain: Plain) -> None:
    """The region's checkpoints are those of ``plain``, each byte for byte, read beside it."""
    assert [record.epoch for record in region.checkpoints()] == sorted(plain.kept)
    assert (region.head.epoch if region.head else 0) == plain.head
    pinned = {record.epoch for record in region.checkpoints() if record.pinned}
    assert pinned == plain.pinned & set(plain.kept)
    for epoch, expected in plain.kept.items():
        reader = Region.open(region.pool, region.name, mode="r", head=epoch)
        shown = view(reader)
        # Bytes that the region grew by later are zeros in an older checkpoint.
        np.testing.assert_array_equal(shown[: expected.size], expected, f"checkpoint @{epoch}")
        assert not shown[expected.size :].any()
        reader.close()


def run(pool: Path, seed: int, steps: int) -> None:
    """Runs a program on a fresh pool and compares all the way."""
    program = Program(seed)
    region = open_region(pool)
    try:
        for _ in range(steps):
            step = program.next_step()
            region = step.real(region)
            assert_shows(region, program.plain.now)
        assert_keeps(region, program.plain)
        region.settle()
        region.verify()
        assert_shows(region, program.plain.now)
    finally:
        region.close()
