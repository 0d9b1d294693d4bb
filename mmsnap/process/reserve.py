"""Memory that is warm when a dump needs it.

A page that a virtual machine did not touch lately costs microseconds at its first touch, which is
most of a dump into memory. So as many pages as the dump will take are written while the program
still runs, and given back the moment it begins: the kernel hands out first what was freed last.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

_NAME: Final = "reserve"
_CHUNK: Final = bytes(4 << 20)
_TMPFS_MAGIC: Final = 0x01021994
_STATFS_BYTES: Final = 256  # more than struct statfs has anywhere; f_type comes first

_libc = ctypes.CDLL(None, use_errno=True)


class Reserve:
    """The reserve of one member, in its folder; on a disk there is none."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _NAME

    def fill(self, size_bytes: int) -> None:
        """Takes and touches that much; OSError when there is no room."""
        if not _is_memory(self._file.parent):
            return
        try:
            with self._file.open("wb", buffering=0) as file:
                for _ in range(-(-size_bytes // len(_CHUNK))):
                    file.write(_CHUNK)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Gives it back."""
        self._file.unlink(missing_ok=True)


def _is_memory(folder: Path) -> bool:
    room = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.statfs(bytes(folder), room) != 0:
        return False
    return ctypes.c_long.from_buffer(room).value == _TMPFS_MAGIC
