"""A small keyed store on a region's own bytes, so that every checkpoint carries it.

A value that fits into its cell is rewritten in place; one that outgrew it moves to a roomier
cell. The store is not synchronised and knows nothing of cuts: `Store` sees to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from os import urandom
from typing import Final

from mmsnap.memory import Region
from mmsnap_sdk.extents import Extents
from mmsnap_sdk.layout import (
    BLOCK_HEADER_BYTES,
    CELL_ALIGNMENT_BYTES,
    CELL_HEADER_BYTES,
    KEY_MAX_BYTES,
    STAMP_WORD,
    Block,
    CellKind,
    damaged,
    decode_cell,
    encode_cell,
)
from mmsnap_sdk.space import PAGE_BYTES, Space, pages

_BLOCK_MIN_BYTES: Final = 4 * PAGE_BYTES


class _Slot:
    """Where a cell is."""

    __slots__ = ("block", "key", "offset", "room_bytes", "value_bytes", "view")

    def __init__(self, block: _CellBlock, offset: int, room_bytes: int, key: bytes) -> None:
        self.block = block
        self.offset = offset
        self.room_bytes = room_bytes
        self.key = key
        self.value_bytes = 0
        self.view = block.view[offset : offset + CELL_HEADER_BYTES + room_bytes]

    def put(self, kind: CellKind, value: bytes) -> None:
        data = encode_cell(kind, self.room_bytes, self.key, value)
        self.view[: len(data)] = data
        self.value_bytes = len(value)

    def value(self) -> bytes:
        start = CELL_HEADER_BYTES + len(self.key)
        return bytes(self.view[start : start + self.value_bytes])


class _CellBlock:
    """A block's bytes, and which of them are free."""

    def __init__(self, view: memoryview, offset: int) -> None:
        self.view = view
        self.offset = offset
        self.free = Extents(BLOCK_HEADER_BYTES, len(view))

    def allocate(self, size_bytes: int) -> int | None:
        offset = self.free.first_fit(size_bytes)
        if offset is not None:
            self.free.take(offset, size_bytes)
            self.mark_free(offset + size_bytes)
        return offset

    def release(self, slot: _Slot) -> None:
        slot.key = b""
        slot.put(CellKind.FREE, b"")
        self.free.release(slot.offset, CELL_HEADER_BYTES + slot.room_bytes)

    def mark_free(self, offset: int) -> None:
        """Writes the header of the free part at `offset`, so that a reader can step over it."""
        free_bytes = self.free.free_at(offset)
        if free_bytes:
            header = encode_cell(CellKind.FREE, free_bytes - CELL_HEADER_BYTES, b"", b"")
            self.view[offset : offset + CELL_HEADER_BYTES] = header

    def link(self, next_offset: int) -> None:
        header = Block(len(self.view), next_offset).encode()
        self.view[: len(header)] = header


def _key_bytes(key: str) -> bytes:
    encoded = key.encode()
    if not 0 < len(encoded) <= KEY_MAX_BYTES:
        raise ValueError(f"a name has 1 to {KEY_MAX_BYTES} bytes, not {len(encoded)}: {key[:40]!r}")
    return encoded


class Cells:
    """The cells of a region, by kind and key.

    Attributes:
        words: the first page as 64-bit words; `words[STAMP_WORD]` is the stamp in the bytes.
        stamp: equals the word in the bytes as long as these are the cells in its bytes;
            after a restore the word differs, and `load` must be called.
    """

    def __init__(self, region: Region, space: Space) -> None:
        self._region = region
        self._space = space
        self._blocks: list[_CellBlock] = []
        self._slots: dict[tuple[CellKind, str], _Slot] = {}
        # Never the same number twice, in this session or another: equal stamps, equal cells.
        self._stamps = count(int.from_bytes(urandom(8), "little") >> 2 | 1)
        self.stamp = 0
        self.words = memoryview(bytes(PAGE_BYTES)).cast("Q")

    def create(self) -> None:
        """Begins with no cells, in the first page."""
        self._space.rebuild([])
        self._slots.clear()
        self._blocks.clear()
        self._add_block(PAGE_BYTES)
        self.words = self._blocks[0].view.cast("Q")
        self._changed()

    def load(self) -> None:
        """Finds all cells; CorruptionError when the bytes make no sense."""
        self._slots.clear()
        self._blocks.clear()
        offset, size_bytes = 0, PAGE_BYTES
        while True:
            block = _CellBlock(self._view(offset, size_bytes), offset)
            self._blocks.append(block)
            for slot_offset, size in self._walk(block):
                block.free.discard(slot_offset, size)
            header = Block.decode(block.view, self._subject)
            next_offset = header.next_offset
            if header.size_bytes != size_bytes:
                raise damaged(self._subject, "a block of cells has a wrong size")
            if next_offset == 0:
                break
            if any(known.offset == next_offset for known in self._blocks):
                raise damaged(self._subject, "the chain of blocks has a loop")
            offset, size_bytes = next_offset, self._block_bytes(next_offset)
        self.words = self._blocks[0].view.cast("Q")
        self.stamp = self.words[STAMP_WORD]

    def blocks(self) -> list[tuple[int, int]]:
        """Offset and bytes of the blocks."""
        return [(block.offset, len(block.view)) for block in self._blocks]

    def keys(self, kind: CellKind) -> list[str]:
        """The keys of a kind, sorted."""
        return sorted(key for slot_kind, key in self._slots if slot_kind == kind)

    def read(self, kind: CellKind, key: str) -> bytes | None:
        """The value; None: there is no such cell."""
        slot = self._slots.get((kind, key))
        return None if slot is None else slot.value()

    def write(self, kind: CellKind, key: str, value: bytes) -> None:
        """Sets the value. PoolFullError, or ValueError for the key, leaves the old one."""
        slot = self._slots.get((kind, key))
        if slot is None or len(slot.key) + len(value) > slot.room_bytes:
            old, slot = slot, self._allocate(_key_bytes(key), len(value), spare=slot is not None)
            slot.put(kind, value)
            self._slots[kind, key] = slot
            if old is not None:
                old.block.release(old)
        else:
            slot.put(kind, value)
        self._changed()

    def delete(self, kind: CellKind, key: str) -> None:
        """Frees the cell; KeyError: there is none."""
        slot = self._slots.pop((kind, key))
        slot.block.release(slot)
        self._changed()

    @property
    def _subject(self) -> str:
        return f"region {self._region.name!r}"

    def _view(self, offset: int, size_bytes: int) -> memoryview:
        if offset % PAGE_BYTES or not 0 < size_bytes <= self._region.extent_bytes - offset:
            raise damaged(self._subject, "a block of cells leaves the region")
        return self._region.memory(offset, size_bytes)

    def _block_bytes(self, offset: int) -> int:
        size_bytes = Block.decode(self._view(offset, PAGE_BYTES), self._subject).size_bytes
        if size_bytes % PAGE_BYTES:
            raise damaged(self._subject, "a block of cells is not made of pages")
        return size_bytes

    def _walk(self, block: _CellBlock) -> Iterator[tuple[int, int]]:
        """Registers the cells of a block; gives offset and bytes of those in use."""
        offset = BLOCK_HEADER_BYTES
        while offset < len(block.view):
            cell = decode_cell(block.view[offset:], self._subject)
            size = CELL_HEADER_BYTES + cell.room_bytes
            if cell.kind != CellKind.FREE:
                slot = _Slot(block, offset, cell.room_bytes, cell.key)
                slot.value_bytes = cell.value_bytes
                self._register(cell.kind, slot)
                yield offset, size
            offset += size

    def _register(self, kind: CellKind, slot: _Slot) -> None:
        try:
            name = kind, slot.key.decode()
        except UnicodeDecodeError:
            raise damaged(self._subject, "a cell's key is not UTF-8") from None
        if name in self._slots:
            raise damaged(self._subject, f"there are two cells named {name[1]!r}")
        self._slots[name] = slot

    def _allocate(self, key: bytes, value_bytes: int, *, spare: bool) -> _Slot:
        # A value that outgrew its cell is likely to grow again: half as much spare room.
        wanted = len(key) + value_bytes + (value_bytes // 2 if spare else 0)
        room_bytes = -(-wanted // CELL_ALIGNMENT_BYTES) * CELL_ALIGNMENT_BYTES
        for block in self._blocks:
            offset = block.allocate(CELL_HEADER_BYTES + room_bytes)
            if offset is not None:
                return _Slot(block, offset, room_bytes, key)
        needed = pages(BLOCK_HEADER_BYTES + CELL_HEADER_BYTES + room_bytes)
        block = self._add_block(max(_BLOCK_MIN_BYTES, needed))
        offset = block.allocate(CELL_HEADER_BYTES + room_bytes)
        assert offset is not None
        return _Slot(block, offset, room_bytes, key)

    def _add_block(self, size_bytes: int) -> _CellBlock:
        offset = self._space.allocate(size_bytes)
        block = _CellBlock(self._region.memory(offset, size_bytes), offset)
        block.link(0)
        block.mark_free(BLOCK_HEADER_BYTES)
        if self._blocks:
            self._blocks[-1].link(offset)
        self._blocks.append(block)
        return block

    def _changed(self) -> None:
        stamp = next(self._stamps)
        self.words[STAMP_WORD] = stamp
        self.stamp = stamp
