"""The pages of a region: which are in use, and more of them when they do not suffice.

Nothing about it is stored: what is in use is known from the blocks of cells and the directory
of arrays. An address that was given up in this session is not handed out again until the
region is reopened, for views of it may still be around.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from mmsnap.errors import CorruptionError
from mmsnap.memory import Region
from mmsnap_sdk.extents import Extents, OverlapError

PAGE_BYTES: Final = 4096
_ZEROED_AT_ONCE_BYTES: Final = 1 << 20


def pages(size_bytes: int) -> int:
    """`size_bytes` rounded up to whole pages."""
    return -(-size_bytes // PAGE_BYTES) * PAGE_BYTES


class Space:
    """The page-aligned parts of a region that arrays and blocks of cells take."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._free = Extents(0, 0)
        self._given_up: list[tuple[int, int]] = []

    def rebuild(self, used: Iterable[tuple[int, int]]) -> None:
        """Learns anew what is in use, as (offset, bytes): after opening and after a restore.

        Raises:
            CorruptionError: parts overlap or leave the region.
        """
        end = max(self._free.end, self._region.extent_bytes)
        try:
            self._free = Extents.complement(0, end, used)
        except OverlapError as error:
            raise CorruptionError(
                f"region {self._region.name!r}: stored blocks overlap: {error}",
                subject=self._region.name,
                hint="open or restore an earlier checkpoint",
            ) from None
        for offset, size_bytes in self._given_up:
            self._free.discard(offset, size_bytes)

    def allocate(self, size_bytes: int) -> int:
        """The offset of `size_bytes` zeros (whole pages), now in use.

        Raises:
            PoolFullError: neither the region nor the pool has room for more.
        """
        offset = self._free.first_fit(size_bytes)
        if offset is None:
            offset = self._free.end - self._free.free_at_end()
        self._take(offset, size_bytes)
        return offset

    def extend(self, offset: int, size_bytes: int, more_bytes: int) -> bool:
        """Adds `more_bytes` zeros to the part at `offset`; False: what follows it is not free.

        Raises:
            PoolFullError: neither the region nor the pool has room for more.
        """
        end = offset + size_bytes
        free_bytes = self._free.free_at(end)
        if free_bytes < more_bytes and end + free_bytes != self._free.end:
            return False
        self._take(end, more_bytes)
        return True

    def release(self, offset: int, size_bytes: int) -> None:
        """Free again; for what was allocated and nobody has seen."""
        self._free.release(offset, size_bytes)

    def give_up(self, offset: int, size_bytes: int) -> None:
        """Not in use any more, and not to be used again in this session."""
        self._given_up.append((offset, size_bytes))

    def zero(self, offset: int, size_bytes: int) -> None:
        """Makes the bytes zeros, writing only where they are not: clean pages stay clean."""
        for start in range(offset, offset + size_bytes, _ZEROED_AT_ONCE_BYTES):
            part_bytes = min(_ZEROED_AT_ONCE_BYTES, offset + size_bytes - start)
            part = np.frombuffer(self._region.memory(start, part_bytes), np.uint8)
            if part.any():
                part.fill(0)

    def _take(self, offset: int, size_bytes: int) -> None:
        end = offset + size_bytes
        # What is beyond the extent will be zeros when the region grows.
        stale_bytes = max(0, min(end, self._region.extent_bytes) - offset)
        if end > self._region.extent_bytes:
            self._region.grow(end)
        if end > self._free.end:
            self._free.extend(end)
        self._free.take(offset, size_bytes)
        self.zero(offset, stale_bytes)
