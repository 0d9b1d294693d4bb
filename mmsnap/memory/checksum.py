"""The checksum of everything that is stored, for those who store it from Python."""

from __future__ import annotations

from typing import Any

from mmsnap.memory._native import ffi, lib


def crc32c(data: Any, crc: int = 0) -> int:
    """CRC32C (Castagnoli) of the bytes of `data`, after others whose checksum is `crc`."""
    view = ffi.from_buffer(data)
    return int(lib.mm_crc32c(crc, view, len(view)))
