"""Which parts of an address range are free: first fit, merged with their neighbours.

A calculation on offsets alone: it reads and writes no memory and persists nothing. What is
free is derived, when a region is opened, as the complement of what is in use.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable


class OverlapError(ValueError):
    """Two parts that should be apart share bytes, or one lies outside of the range."""


class Extents:
    """The free parts of the range from `start` to `end`, both byte offsets."""

    def __init__(self, start: int, end: int) -> None:
        self._end = end
        self._offsets = [start] if end > start else []
        self._sizes = {start: end - start} if end > start else {}

    @classmethod
    def complement(cls, start: int, end: int, used: Iterable[tuple[int, int]]) -> Extents:
        """What `used`, pairs of offset and size, leaves free of the range.

        Raises:
            OverlapError: two of them overlap, or one leaves the range.
        """
        free = cls(start, start)
        position = start
        for offset, size in sorted(used):
            if size <= 0 or offset < position or offset + size > end:
                raise OverlapError(f"bytes {offset} to {offset + size} do not fit in between")
            free.release(position, offset - position)
            position = offset + size
        free.release(position, end - position)
        free._end = end
        return free

    @property
    def end(self) -> int:
        """The end of the range, free or not."""
        return self._end

    def extend(self, end: int) -> None:
        """The range now reaches to `end`; what came with it is free."""
        self.release(self._end, end - self._end)
        self._end = end

    def first_fit(self, size: int) -> int | None:
        """The offset of the first free part that holds `size` bytes; None: there is none."""
        return next((at for at in self._offsets if self._sizes[at] >= size), None)

    def take(self, offset: int, size: int) -> None:
        """Uses the first `size` bytes of the free part that begins at `offset`."""
        rest = self._sizes.pop(offset) - size
        index = bisect_left(self._offsets, offset)
        if rest:
            self._offsets[index] = offset + size
            self._sizes[offset + size] = rest
        else:
            del self._offsets[index]

    def free_at(self, offset: int) -> int:
        """How many bytes are free from `offset` on, when a free part begins there; else 0."""
        return self._sizes.get(offset, 0)

    def free_at_end(self) -> int:
        """How many bytes at the end of the range are free."""
        if not self._offsets:
            return 0
        size = self._sizes[self._offsets[-1]]
        return size if self._offsets[-1] + size == self._end else 0

    def discard(self, offset: int, size: int) -> None:
        """Uses whatever is free of these bytes."""
        end = offset + size
        for start in [at for at in self._offsets if at < end and at + self._sizes[at] > offset]:
            stop = start + self._sizes[start]
            self.take(start, stop - start)
            self.release(start, max(0, offset - start))
            self.release(end, max(0, stop - end))

    def release(self, offset: int, size: int) -> None:
        """Frees bytes that were in use."""
        if size == 0:
            return
        index = bisect_left(self._offsets, offset)
        if index < len(self._offsets) and offset + size == self._offsets[index]:
            size += self._sizes.pop(self._offsets.pop(index))
        if index:
            before = self._offsets[index - 1]
            if before + self._sizes[before] == offset:
                self._sizes[before] += size
                return
        self._offsets.insert(index, offset)
        self._sizes[offset] = size
