"""Which arrays a region holds: name, type, shape, and where their bytes are.

Each entry is one cell, written inside an update, so that every checkpoint has either the old
or the new array. Making NumPy views of the bytes is left to `arrays.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr

from mmsnap_sdk.layout import CellKind, damaged
from mmsnap_sdk.store import Store

DType = np.dtype[Any]
_SHAPE_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class ArrayEntry:
    """One array of a region.

    Attributes:
        offset: where its bytes begin in the region.
        block_bytes: the room it has there, whole pages.
    """

    dtype: DType
    shape: tuple[int, ...]
    offset: int
    block_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes of its elements."""
        return array_bytes(self.dtype, self.shape)

    def encode(self) -> bytes:
        """The entry as a cell's value."""
        fields = [dtype_to_descr(self.dtype), self.shape, self.offset, self.block_bytes]
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, value: bytes) -> ArrayEntry:
        """Reads an entry; ValueError when its numbers make no sense."""
        try:
            descr, shape, offset, block_bytes = json.loads(value)
            dtype = storable_dtype(descr_to_dtype(_descr(descr)))
            entry = cls(dtype, tuple(shape), offset, block_bytes)
            numbers = (offset, block_bytes, *entry.shape)
            sound = all(type(number) is int and number >= 0 for number in numbers)
            if not sound or len(entry.shape) > _SHAPE_MAX or entry.size_bytes > block_bytes:
                raise ValueError("numbers out of range")
        except (TypeError, LookupError, SyntaxError, ValueError) as error:
            raise ValueError(f"not an array entry: {error}") from None
        return entry


def array_bytes(dtype: DType, shape: Iterable[int]) -> int:
    """Bytes of the elements of an array."""
    return math.prod(shape) * dtype.itemsize


def storable_dtype(dtype: Any) -> DType:
    """`dtype` as NumPy understands it, when its elements are plain bytes.

    Raises:
        TypeError: it holds Python objects, has no bytes, or is not described by its bytes.
    """
    found: DType = np.dtype(dtype)
    if found.hasobject:
        raise TypeError(
            f"an array of {found} holds references, not bytes; keep small values in app.state"
        )
    if found.itemsize == 0:
        raise TypeError(f"{found} has no size; write it with one, like 'S16'")
    if found.subdtype is not None:
        raise TypeError(f"{found} is an array type; put its shape into the array's shape")
    try:
        same = descr_to_dtype(_descr(json.loads(json.dumps(dtype_to_descr(found))))) == found
    except (TypeError, ValueError):
        same = False
    if not same:
        raise TypeError(f"{found} can not be described so that it comes back equal")
    return found


def _descr(stored: Any) -> Any:
    """What JSON made of a type's description, as NumPy wants it: fields are tuples."""
    return [_field(*field) for field in stored] if isinstance(stored, list) else stored


def _field(name: Any, descr: Any, *shape: Any) -> tuple[Any, ...]:
    titled = tuple(name) if isinstance(name, list) else name
    return titled, _descr(descr), *map(tuple, shape)


class Directory:
    """The entries of a region, by name.

    Attributes:
        change_count: rises with every change, also by a restore.
        taken: the entries that restores took away or changed, until somebody clears it.
    """

    def __init__(self, store: Store) -> None:
        self.change_count = 0
        self.taken: dict[str, ArrayEntry] = {}
        self._store = store
        self._entries: dict[str, ArrayEntry] = {}
        store.on_reload(self._load)

    def entries(self) -> Mapping[str, ArrayEntry]:
        """All of them as they are now; a later change does not show in it."""
        self._store.current()
        return self._entries

    def set(self, name: str, entry: ArrayEntry) -> None:
        """Adds or replaces an entry."""
        with self._store.step:
            self._store.write(CellKind.ARRAY, name, entry.encode())
            self._entries = {**self._entries, name: entry}
            self.change_count += 1

    def remove(self, name: str) -> None:
        """Removes an entry; KeyError: there is none."""
        with self._store.step:
            self._store.delete(CellKind.ARRAY, name)
            entry = self._entries[name]
            self._store.space.give_up(entry.offset, entry.block_bytes)
            self._entries = {key: kept for key, kept in self._entries.items() if key != name}
            self.change_count += 1

    def _load(self) -> list[tuple[int, int]]:
        """Reads all entries anew; returns the parts of the region they use."""
        before, self._entries = self._entries, {}
        for name in self._store.keys(CellKind.ARRAY):
            value = self._store.read(CellKind.ARRAY, name)
            try:
                self._entries[name] = ArrayEntry.decode(value or b"")
            except ValueError as error:
                subject = f"array {name!r} of region {self._store.region.name!r}"
                raise damaged(subject, str(error)) from None
        self.change_count += 1
        used = {(entry.offset, entry.block_bytes) for entry in self._entries.values()}
        for name, entry in before.items():
            if self._entries.get(name) != entry:
                self.taken[name] = entry
            if (entry.offset, entry.block_bytes) not in used:
                self._store.space.give_up(entry.offset, entry.block_bytes)
        if len(used) < len(self._entries):
            raise damaged(f"region {self._store.region.name!r}", "two arrays share their bytes")
        return sorted(used)
