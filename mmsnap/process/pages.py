"""Storing only the pages that changed since the checkpoint before.

CRIU can read a page from the dump before (`parent`) when the pagemap says so. Without soft-dirty
bits it can not write such a dump itself, so every page is dumped, and after the thaw those that are
the same in the parent are taken out again: compared byte by byte, so no hash can lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process import image_file

PAGE_BYTES: Final = 4096
_PARENT_LINK: Final = "parent"
_IN_PARENT: Final = 1
_PRESENT: Final = 4
_BATCH_PAGES: Final = 8192  # compared at once: 32 MiB

Numbers = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Runs:
    """A pagemap, page by page: address, flags, and its place in pages-N.img (-1: in the parent)."""

    pages_id: int
    address: Numbers
    flags: Numbers
    place: NDArray[np.int64]


def take_out_unchanged(images: Path, parent_images: Path) -> tuple[int, int]:
    """Takes out what `parent_images` has alike; returns (pages in all, pages still stored)."""
    link = images / _PARENT_LINK
    total = stored = 0
    for file in sorted(images.glob("pagemap-*.img")):
        runs = _load(file)
        total += len(runs.address)
        kept = _changed(runs, images, _levels(parent_images, file.name))
        stored += int(kept.sum())
        if not kept.all():
            _rewrite(images, file, runs, kept)
    if stored < total:
        link.symlink_to(Path("../..") / parent_images.parent.name / parent_images.name)
    return total, stored


def count(images: Path) -> int:
    """Pages in all, here or in parents."""
    return sum(len(_load(file).address) for file in images.glob("pagemap-*.img"))


def count_stored(images: Path) -> int:
    """Pages that are here."""
    return sum(int((_load(file).place >= 0).sum()) for file in images.glob("pagemap-*.img"))


def absorb_parent(images: Path) -> None:
    """Brings home the pages that the parent itself stores, so that the parent may go.

    What even the parent has from its own parent stays there: that one is the parent from now on.
    """
    link = images / _PARENT_LINK
    parent = link.resolve()
    for file in sorted(images.glob("pagemap-*.img")):
        if (parent / file.name).exists():
            _absorb(images, file, parent)
    link.unlink()
    grandparent = parent / _PARENT_LINK
    if grandparent.is_symlink():
        link.symlink_to(grandparent.readlink())


# ---- comparing ----


def _changed(runs: _Runs, images: Path, levels: Sequence[tuple[_Runs, Path]]) -> NDArray[np.bool_]:
    """Which pages differ from what the parents hold at their address."""
    changed = np.ones(len(runs.address), bool)
    mine = _pages(images, runs.pages_id)
    open_at = np.arange(len(runs.address))  # not found in a nearer parent yet
    for theirs, folder in levels:
        order = np.argsort(theirs.address)
        sorted_address = theirs.address[order]
        at = np.searchsorted(sorted_address, runs.address[open_at])
        at[at == len(sorted_address)] = 0
        if not len(sorted_address):
            continue
        found = sorted_address[at] == runs.address[open_at]
        where = order[at]
        here = found & (theirs.place[where] >= 0)
        other = _pages(folder, theirs.pages_id)
        for pages, places in _batches(open_at[here], theirs.place[where[here]]):
            same = (mine[runs.place[pages]] == other[places]).all(axis=1)
            changed[pages] = ~same
        # What this parent has from its own parent is looked for there; what it has not, nowhere.
        open_at = open_at[found & (theirs.place[where] < 0)]
    return changed


def _batches(pages: Any, places: Any) -> Iterator[tuple[Any, Any]]:
    for at in range(0, len(pages), _BATCH_PAGES):
        yield pages[at : at + _BATCH_PAGES], places[at : at + _BATCH_PAGES]


def _levels(images: Path, name: str) -> list[tuple[_Runs, Path]]:
    """The pagemaps of a name, from the parent to the eldest."""
    levels = []
    folder: Path | None = images
    while folder is not None and (folder / name).exists():
        levels.append((_load(folder / name), folder))
        link = folder / _PARENT_LINK
        folder = link.resolve() if link.is_symlink() else None
    return levels


# ---- reading and writing ----


def _load(file: Path) -> _Runs:
    head, entries = image_file.pagemap(file)
    address, flags, place = [], [], []
    next_place = 0
    for entry in entries:
        pages = _count_of(entry)
        start = entry.address
        address.append(start + PAGE_BYTES * np.arange(pages, dtype=np.uint64))
        flags.append(np.full(pages, entry.flags, np.uint64))
        if entry.flags & _PRESENT:
            place.append(np.arange(next_place, next_place + pages))
            next_place += pages
        else:
            place.append(np.full(pages, -1))
    if not address:
        return _Runs(
            head.pages_id, np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, int)
        )
    return _Runs(
        head.pages_id, np.concatenate(address), np.concatenate(flags), np.concatenate(place)
    )


def _count_of(entry: pb.PagemapEntry) -> int:
    return entry.page_count if entry.HasField("page_count") else entry.page_count_32


def _pages(images: Path, pages_id: int) -> NDArray[np.uint64]:
    file = images / f"pages-{pages_id}.img"
    if not file.exists() or not file.stat().st_size:
        return np.zeros((0, PAGE_BYTES // 8), np.uint64)
    return np.memmap(file, np.uint64, "r").reshape(-1, PAGE_BYTES // 8)


def _rewrite(images: Path, file: Path, runs: _Runs, kept: NDArray[np.bool_]) -> None:
    """Leaves only the pages that are `kept`; the others are the parent's."""
    kept = kept & (runs.place >= 0)
    flags = np.where(kept, runs.flags, _IN_PARENT).astype(np.uint64)
    pages = _pages(images, runs.pages_id)
    _write_pages(images, runs.pages_id, [pages[p] for p, _ in _batches(runs.place[kept], kept)])
    _write_pagemap(file, runs.pages_id, runs.address, flags)


def _absorb(images: Path, file: Path, parent: Path) -> None:
    mine, theirs = _load(file), _load(parent / file.name)
    my_pages, their_pages = _pages(images, mine.pages_id), _pages(parent, theirs.pages_id)
    their_place = dict(zip(theirs.address.tolist(), theirs.place.tolist(), strict=True))
    flags = mine.flags.copy()
    parts = []
    for page, address in enumerate(mine.address.tolist()):
        if mine.place[page] >= 0:
            parts.append(my_pages[mine.place[page]][None])
        elif their_place.get(address, -1) >= 0:
            parts.append(their_pages[their_place[address]][None])
            flags[page] = _PRESENT
    _write_pages(images, mine.pages_id, parts)
    _write_pagemap(file, mine.pages_id, mine.address, flags)


def _write_pages(images: Path, pages_id: int, parts: Sequence[NDArray[np.uint64]]) -> None:
    target = images / f"pages-{pages_id}.img"
    partial = target.with_suffix(".new")
    with partial.open("wb") as file:
        for part in parts:
            file.write(part.tobytes())
    partial.chmod(0o600)
    partial.rename(target)


def _write_pagemap(file: Path, pages_id: int, address: Numbers, flags: Numbers) -> None:
    breaks = (np.diff(address) != PAGE_BYTES) | (flags[1:] != flags[:-1])
    ends = [*np.flatnonzero(breaks).tolist(), len(address) - 1]
    entries: list[pb.PagemapEntry] = []
    start = 0
    for end in ends:
        entries.append(
            pb.PagemapEntry(
                address=int(address[start]),
                page_count_32=0,
                flags=int(flags[start]),
                page_count=end + 1 - start,
            )
        )
        start = end + 1
    partial = file.with_suffix(".new")
    image_file.rewrite(file, partial, [pb.PagemapHead(pages_id=pages_id), *entries])
    partial.chmod(0o600)
    partial.rename(file)
