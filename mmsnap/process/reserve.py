"""Memory for a dump, made ready while the program still runs.

Taking a new page for a file costs more than copying into it, and on a virtual machine whose host
has to find the page first, many times more. So for each process a file of about its size is written
and mapped beforehand; in the pause pages are only copied. What was too much is cut off afterwards.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SHARED: Final = "shared"
"""In place of a process's name: memory that none has alone."""

_SMALLEST_BYTES: Final = 1 << 20
_GROWTH: Final = 32  # a part more for what comes until the freeze
_PREFIX: Final = "reserve."
_TMPFS_MAGIC: Final = 0x01021994
_STATFS_BYTES: Final = 256  # more than struct statfs has anywhere; f_type comes first
_PRIVATE: Final = 0o600
_PAGE_BYTES: Final = mmap.PAGESIZE

_libc = ctypes.CDLL(None, use_errno=True)


class Warm:
    """A file whose first `size_bytes` are in memory and mapped."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """OSError when there is no room."""
        self._path = path
        self.size_bytes = size_bytes
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        os.posix_fallocate(self.descriptor, 0, size_bytes)
        self._map = mmap.mmap(
            self.descriptor, size_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE
        )
        self.memory = memoryview(self._map)

    def keep(self, target: Path, size_bytes: int) -> None:
        """Its first `size_bytes` are the file `target` from now on."""
        self._unmap()
        os.ftruncate(self.descriptor, size_bytes)
        os.close(self.descriptor)
        self._path.rename(target)

    def give_back(self) -> None:
        """It is not needed."""
        self._unmap()
        os.close(self.descriptor)
        self._path.unlink(missing_ok=True)

    def _unmap(self) -> None:
        self.memory.release()
        self._map.close()


class Reserve:
    """The warm files of one member, in its folder; on a disk there are none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Warm] = {}

    def fill(self, needed: Mapping[str, int]) -> None:
        """Makes a file of about so many bytes for each name; OSError when there is no room."""
        self.release()
        if not _is_memory(self._folder):
            return
        try:
            for name, needed_bytes in needed.items():
                if needed_bytes < _SMALLEST_BYTES:
                    continue
                size_bytes = (needed_bytes + needed_bytes // _GROWTH) // _PAGE_BYTES * _PAGE_BYTES
                self._files[name] = Warm(self._folder / f"{_PREFIX}{name}", size_bytes)
        except OSError:
            self.release()
            raise

    def take(self, name: str) -> Warm | None:
        """The file of that name, which is the caller's from now on."""
        return self._files.pop(name, None)

    def release(self) -> None:
        """Gives back what nobody took."""
        while self._files:
            _, warm = self._files.popitem()
            warm.give_back()


def _is_memory(folder: Path) -> bool:
    room = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.statfs(bytes(folder), room) != 0:
        return False
    return ctypes.c_long.from_buffer(room).value == _TMPFS_MAGIC
