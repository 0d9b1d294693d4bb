"""Who reads checkpoints of a group outside of its turn, like a verification that takes an hour.

Such a reader goes from file to file and from part to part, so nothing of the group may be removed
or rewritten on this node before it has done. It keeps nobody from deleting: the catalog forgets,
and the bytes follow later. What stands on its own once it is open (exports, clones, regions mapped
for reading) needs none of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Readers:
    """The readers of one group on this node. Of one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._removal = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Nothing is removed inside of this; what is being removed is waited for."""
        async with self._removal:
            self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    @asynccontextmanager
    async def removing(self) -> AsyncIterator[bool]:
        """Whether something may be removed now; nobody begins to read inside of this."""
        async with self._removal:
            yield not self._count
