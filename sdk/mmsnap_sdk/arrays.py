"""Arrays as views: NumPy arrays whose elements are the region's own bytes.

A view never faults: after a restore it shows the restored bytes, after `close()` it is private
memory that nobody keeps. Where arrays lie is the directory's business.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from operator import index
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmsnap.errors import NotFoundError, SchemaMismatchError
from mmsnap_sdk.directory import ArrayEntry, Directory, array_bytes, storable_dtype
from mmsnap_sdk.space import PAGE_BYTES, pages
from mmsnap_sdk.store import Store

Shape = SupportsIndex | Sequence[SupportsIndex]


class Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of an app, by name: `app.arrays`.

    A mapping to look at them all: `list(app.arrays)`, `app.arrays["hits"]`, `len`, `in`, and
    `del app.arrays["hits"]` to give one up. Views of a deleted array stay readable, but belong
    to no array any more; its bytes are used again after the region was reopened.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._directory = Directory(store)
        self._views: dict[str, list[tuple[weakref.ref[NDArray[Any]], ArrayEntry]]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._view(name, self._directory.entries()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._directory.entries())

    def __len__(self) -> int:
        return len(self._directory.entries())

    def __contains__(self, name: object) -> bool:
        return name in self._directory.entries()

    def __delitem__(self, name: str) -> None:
        self._store.require_writable()
        self._directory.remove(name)

    @property
    def change_count(self) -> int:
        """Rises whenever an array comes, goes or changes its shape."""
        return self._directory.change_count

    def entries(self) -> Mapping[str, ArrayEntry]:
        """Type, shape and place of every array."""
        return self._directory.entries()

    def get_or_create(
        self, name: str, shape: Shape | None, dtype: DTypeLike | None
    ) -> NDArray[Any]:
        """The view of an array, made of zeros when there is none; see `App.array`."""
        entry = self._directory.entries().get(name)
        if entry is None:
            with self._store.step:
                entry = self._directory.entries().get(name) or self._create(name, shape, dtype)
        _require_same(name, entry, shape, dtype)
        return self._view(name, entry)

    def resize(self, name: str, shape: Shape) -> NDArray[Any]:
        """Grows the first axis; see `App.resize`."""
        self._store.require_writable()
        wanted = _shape(shape)
        with self._store.step:
            entry = self._directory.entries().get(name)
            if entry is None:
                raise _not_found(name, self._store.region.name)
            if not wanted or wanted[1:] != entry.shape[1:] or wanted[0] < entry.shape[0]:
                raise ValueError(
                    f"array {name!r} has shape {entry.shape}; only its first axis can grow, "
                    f"not to {wanted}"
                )
            if wanted != entry.shape:
                entry = self._grown(entry, wanted)
                self._directory.set(name, entry)
        return self._view(name, entry)

    def live_views(self) -> dict[str, ArrayEntry]:
        """The arrays of which the program still has a view."""
        return self._in_view(self._directory.entries())

    def orphans(self) -> list[str]:
        """The arrays in view that a restore took away or changed all the same; told once."""
        taken, self._directory.taken = self._directory.taken, {}
        return list(self._in_view(taken))

    def names_in_view(self) -> list[str]:
        """Names under which the program still has views, also of arrays that are gone."""
        return [
            name
            for name, views in list(self._views.items())
            if any(view() is not None for view, _ in views)
        ]

    def _in_view(self, entries: Mapping[str, ArrayEntry]) -> dict[str, ArrayEntry]:
        return {
            name: entry
            for name, entry in entries.items()
            if any(
                view() is not None and seen.offset == entry.offset
                for view, seen in self._views.get(name, ())
            )
        }

    def _create(self, name: str, shape: Shape | None, dtype: DTypeLike | None) -> ArrayEntry:
        if shape is None or self._store.region.read_only:
            raise _not_found(name, self._store.region.name)
        wanted = _shape(shape)
        found = storable_dtype(dtype)
        block_bytes = max(PAGE_BYTES, pages(array_bytes(found, wanted)))
        entry = ArrayEntry(found, wanted, self._store.space.allocate(block_bytes), block_bytes)
        try:
            self._directory.set(name, entry)
        except BaseException:
            self._store.space.release(entry.offset, block_bytes)
            raise
        return entry

    def _grown(self, entry: ArrayEntry, shape: tuple[int, ...]) -> ArrayEntry:
        space = self._store.space
        needed_bytes = pages(array_bytes(entry.dtype, shape))
        more_bytes = needed_bytes - entry.block_bytes
        offset, block_bytes = entry.offset, entry.block_bytes
        space.zero(offset + entry.size_bytes, block_bytes - entry.size_bytes)
        if more_bytes > 0 and space.extend(offset, block_bytes, more_bytes):
            block_bytes = needed_bytes
        elif more_bytes > 0:
            # Its address can not be used again in this session, so spare room saves moves.
            block_bytes = max(needed_bytes, pages(entry.block_bytes * 3 // 2))
            offset = space.allocate(block_bytes)
            old = self._store.region.memory(entry.offset, entry.block_bytes)
            self._store.region.memory(offset, entry.block_bytes)[:] = old
            space.give_up(entry.offset, entry.block_bytes)
        return ArrayEntry(entry.dtype, shape, offset, block_bytes)

    def _view(self, name: str, entry: ArrayEntry) -> NDArray[Any]:
        views = [(view, seen) for view, seen in self._views.get(name, ()) if view() is not None]
        for view, seen in views:
            found = view()
            if seen == entry and found is not None:
                return found
        memory = self._store.region.memory(entry.offset, max(1, entry.size_bytes))
        made: NDArray[Any] = np.ndarray(entry.shape, entry.dtype, buffer=memory)
        if self._store.region.read_only:
            made.flags.writeable = False
        self._views[name] = [*views, (weakref.ref(made), entry)]
        return made


def _shape(shape: Shape) -> tuple[int, ...]:
    axes = tuple(map(index, (shape,) if isinstance(shape, SupportsIndex) else shape))
    if any(axis < 0 for axis in axes):
        raise ValueError(f"a shape has no negative axis: {axes}")
    return axes


def _require_same(
    name: str, entry: ArrayEntry, shape: Shape | None, dtype: DTypeLike | None
) -> None:
    other_shape = shape is not None and _shape(shape) != entry.shape
    other_dtype = dtype is not None and np.dtype(dtype) != entry.dtype
    if other_shape or other_dtype:
        asked_shape = entry.shape if shape is None else _shape(shape)
        asked_dtype = entry.dtype if dtype is None else np.dtype(dtype)
        raise SchemaMismatchError(
            f"array {name!r} is stored as {entry.shape} {entry.dtype}, "
            f"not as {asked_shape} {asked_dtype}",
            subject=name,
            hint="app.resize() grows the first axis; for another type use schema= and migrate=",
        )


def _not_found(name: str, region: str) -> NotFoundError:
    return NotFoundError(
        f"region {region!r} has no array {name!r}",
        subject=name,
        hint="give a shape to app.array() to create it",
    )
