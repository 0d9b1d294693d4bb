"""The region against plain memory: whatever a program does, a restore shows what was there.

Random programs write through views and with read(2), resize, create and delete arrays, set state,
take checkpoints that commit or are aborted, restore any of them, and lose what is not in one as
after a crash. A dict of plain arrays beside the region says what must be there.
"""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap

Array = np.ndarray[Any, Any]
DTYPES = ["u1", "<i8", "f4", "S5", [("a", "<i4"), ("b", "u1")]]


class Model:
    """What the region must hold."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.state: dict[str, Any] = {}

    def copy(self) -> Model:
        return copy.deepcopy(self)


class RandomProgram:
    """Drives an app and its model with the same steps."""

    def __init__(self, pool: Path, seed: int) -> None:
        self.pool = pool
        self.rng = random.Random(seed)
        self.now = Model()
        self.kept: dict[str, Model] = {}
        self.head: str | None = None
        self.app = mmsnap.open(pool, size="64MiB")
        self.noise = os.memfd_create("noise")
        os.write(self.noise, self.rng.randbytes(200_000))

    def step(self) -> None:
        steps = {
            self.write: 8, self.read_into: 4, self.set_state: 4, self.nested_state: 3,
            self.create: 2, self.resize: 2, self.delete: 1, self.checkpoint: 4,
            self.aborted_checkpoint: 2, self.restore: 2, self.crash: 1, self.forget: 1,
        }  # fmt: skip
        (step,) = self.rng.choices(list(steps), list(steps.values()))
        step()

    def check(self) -> None:
        assert sorted(self.app.arrays) == sorted(self.now.arrays)
        for name, expected in self.now.arrays.items():
            found = self.app.array(name)
            assert found.shape == expected.shape
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes(), name
        assert dict(self.app.state) == self.now.state

    def some_array(self) -> str | None:
        return self.rng.choice(sorted(self.now.arrays)) if self.now.arrays else None

    def both(self, name: str) -> tuple[Array, Array]:
        """The bytes of the view and of the model's array."""
        view, plain = self.app.array(name), self.now.arrays[name]
        return view.reshape(-1).view(np.uint8), plain.reshape(-1).view(np.uint8)

    def write(self) -> None:
        if (name := self.some_array()) is None:
            return
        view, plain = self.both(name)
        start = self.rng.randrange(len(plain) + 1)
        size = self.rng.choice([1, 100, 5000, len(plain)])
        stride = self.rng.choice([1, 1, 7, 4096])
        value = self.rng.randrange(256)
        with self.app.update():
            view[start : start + size : stride] = value
        plain[start : start + size : stride] = value

    def read_into(self) -> None:
        if (name := self.some_array()) is None:
            return
        view, plain = self.both(name)
        start = self.rng.randrange(len(plain) + 1)
        at = self.rng.randrange(100_000)
        for part in (view[start : start + 9000], plain[start : start + 9000]):
            with self.app.update():
                assert os.preadv(self.noise, [part], at) == len(part)

    def set_state(self) -> None:
        key, size = self.rng.choice("abcdefg"), self.rng.choice([0, 10, 1000, 30_000])
        value = self.rng.choice([7, 1.5, "x" * size, [1] * (size // 10), {"d": {"e": b"f" * size}}])
        if self.rng.random() < 0.2 and key in self.now.state:
            del self.app.state[key], self.now.state[key]
        else:
            self.app.state[key] = value
            self.now.state[key] = copy.deepcopy(value)

    def nested_state(self) -> None:
        number = self.rng.randrange(100)
        with self.app.update():
            self.app.state.setdefault("log", []).append({"n": number})
        self.now.state.setdefault("log", []).append({"n": number})

    def create(self) -> None:
        name = f"array {self.rng.randrange(8)}"
        if name not in self.now.arrays:
            shape = (self.rng.choice([0, 1, 500, 20_000]), *self.rng.choice([(), (3,)]))
            dtype = np.dtype(self.rng.choice(DTYPES))
            self.app.array(name, shape, dtype)
            self.now.arrays[name] = np.zeros(shape, dtype)

    def resize(self) -> None:
        if (name := self.some_array()) is None:
            return
        old = self.now.arrays[name]
        shape = (old.shape[0] + self.rng.choice([0, 1, 700, 10_000]), *old.shape[1:])
        self.app.resize(name, shape)
        self.now.arrays[name] = np.zeros(shape, old.dtype)
        self.now.arrays[name][: len(old)] = old

    def delete(self) -> None:
        if (name := self.some_array()) is not None:
            del self.app.arrays[name], self.now.arrays[name]

    def checkpoint(self) -> None:
        name = self.app.checkpoint(f"c{len(self.kept)}-{self.rng.randrange(10**9)}").name
        self.kept[name] = self.now.copy()
        self.head = name

    def aborted_checkpoint(self) -> None:
        if self.rng.random() < 0.5:
            with pytest.raises(mmsnap.PauseExceededError):
                self.app.checkpoint(max_pause="1ns")
        else:
            self.app.before_checkpoint(fail := lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                self.app.checkpoint()
            self.app._hooks.remove_before(fail)

    def restore(self) -> None:
        if self.kept:
            self.head = self.rng.choice(sorted(self.kept))
            self.app.restore(self.head)
            self.now = self.kept[self.head].copy()

    def crash(self) -> None:
        self.app.close(checkpoint=False)
        self.app = mmsnap.open(self.pool)
        self.now = self.kept[self.head].copy() if self.head else Model()

    def forget(self) -> None:
        others = [name for name in sorted(self.kept) if name != self.head]
        if others:
            gone = self.rng.choice(others)
            self.app.delete_checkpoint(gone)
            del self.kept[gone]


@pytest.mark.parametrize("seed", range(12))
def test_a_random_program_against_plain_memory(pool: Path, seed: int) -> None:
    program = RandomProgram(pool, seed)
    for _ in range(80):
        program.step()
        program.check()
    for name, kept in list(program.kept.items()):
        program.app.restore(name)
        program.now = kept
        program.check()
    program.app.close(checkpoint=False)
    os.close(program.noise)
