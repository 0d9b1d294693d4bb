"""How the SDK's own bytes lie in a region: blocks of cells, and what a cell looks like.

Arrays, state values and the schema number are found through *cells*: a header, a key, a value
and some spare room. Cells fill *blocks* of whole pages, and blocks form a chain that begins at
offset 0. This module knows the bytes and checks them; it neither finds nor places anything.
All numbers are little-endian; see docs/FORMAT.md for the pool around the region.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import crc32

from mmsnap.errors import CorruptionError, FormatVersionError

LAYOUT_VERSION: Final = 1
MAGIC: Final = b"MMCELLS\0"
CELL_ALIGNMENT_BYTES: Final = 16
KEY_MAX_BYTES: Final = 1024
VALUE_MAX_BYTES: Final = 64 << 20

# A block: magic, version, reserved, size, offset of the next block (0: the last), CRC. Then,
# used in the first block only, the stamp: another number after every change of any cell.
_BLOCK: Final = struct.Struct("<8sIIQQ")
_CRC: Final = struct.Struct("<I")
STAMP_WORD: Final = 5
BLOCK_HEADER_BYTES: Final = 48

# A cell: CRC over all that follows; room for key and value, bytes of the value, bytes of the
# key, kind; then key and value. A free cell has neither.
_CELL: Final = struct.Struct("<IIHH")
CELL_HEADER_BYTES: Final = _CELL.size + _CRC.size


class CellKind(IntEnum):
    """What a cell holds."""

    FREE = 0
    ARRAY = 1
    STATE = 2
    SCHEMA = 3


@dataclass(frozen=True, slots=True)
class Block:
    """The header of a block of cells."""

    size_bytes: int
    next_offset: int

    def encode(self) -> bytes:
        """The header's bytes, up to the stamp."""
        head = _BLOCK.pack(MAGIC, LAYOUT_VERSION, 0, self.size_bytes, self.next_offset)
        return head + _CRC.pack(crc32(head))

    @classmethod
    def decode(cls, data: bytes | memoryview, subject: str) -> Block:
        """Reads a header; CorruptionError or FormatVersionError when it is not one."""
        magic, version, _, size_bytes, next_offset = _BLOCK.unpack_from(data)
        if magic != MAGIC:
            raise damaged(subject, "a block of cells has no magic number")
        if _CRC.unpack_from(data, _BLOCK.size)[0] != crc32(data[: _BLOCK.size]):
            raise damaged(subject, "the header of a block of cells fails its checksum")
        if version != LAYOUT_VERSION:
            raise FormatVersionError(
                f"{subject} was written with cell layout {version}, this is {LAYOUT_VERSION}",
                subject=subject,
                hint="open it with a newer mmsnap",
            )
        return cls(size_bytes, next_offset)


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell as found in a block."""

    kind: CellKind
    room_bytes: int
    key: bytes
    value_bytes: int


def encode_cell(kind: int, room_bytes: int, key: bytes, value: bytes) -> bytes:
    """The bytes of a cell, without its spare room."""
    content = _CELL.pack(room_bytes, len(value), len(key), kind) + key + value
    return _CRC.pack(crc32(content)) + content


def decode_cell(data: memoryview, subject: str) -> StoredCell:
    """Reads the cell at the start of `data`, which ends where its block ends.

    Raises:
        CorruptionError: its numbers do not fit in, or its checksum is wrong.
    """
    if len(data) < CELL_HEADER_BYTES:
        raise damaged(subject, "a cell leaves its block")
    room_bytes, value_bytes, key_bytes, kind = _CELL.unpack_from(data, _CRC.size)
    used_bytes = key_bytes + value_bytes
    if room_bytes % CELL_ALIGNMENT_BYTES or CELL_HEADER_BYTES + room_bytes > len(data):
        raise damaged(subject, "a cell leaves its block")
    if used_bytes > room_bytes or kind not in CellKind._value2member_map_:
        raise damaged(subject, "a cell's header makes no sense")
    end = CELL_HEADER_BYTES + used_bytes
    if _CRC.unpack_from(data)[0] != crc32(data[_CRC.size : end]):
        raise damaged(subject, "a cell fails its checksum")
    key = bytes(data[CELL_HEADER_BYTES : CELL_HEADER_BYTES + key_bytes])
    return StoredCell(CellKind(kind), room_bytes, key, value_bytes)


def damaged(subject: str, what: str) -> CorruptionError:
    """The error for bytes of a region that make no sense."""
    return CorruptionError(
        f"{subject}: {what}", subject=subject, hint="open or restore an earlier checkpoint"
    )
