"""How long a request may go on: until its deadline, and once it is deleted not much longer.

Whoever asks an agent may wait minutes for it. What is broken off here the agents bring to an end by
themselves.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from mmsnap_operator.requests.ending import deadline, now

Result = TypeVar("Result")

# So long a request that is being deleted waits for a cut that may be under way.
_ENDING: Final = datetime.timedelta(seconds=30)


class Limit:
    """Of one request, whose manifest is kept up to date by others; `deleted`: it is to go."""

    def __init__(self, request: Mapping[str, Any], deleted: asyncio.Event) -> None:
        """As much time as its specification says, from the start that its status says."""
        self._request = request
        self._deleted_since: datetime.datetime | None = None
        self.deleted = deleted

    @property
    def left_seconds(self) -> float:
        """Negative: it is over for so long; of a request that has not begun, a second."""
        until = deadline(self._request) or now() + datetime.timedelta(seconds=1)
        if self.deleted.is_set():
            self._deleted_since = self._deleted_since or now()
            until = min(until, self._deleted_since + _ENDING)
        return (until - now()).total_seconds()

    @property
    def is_over(self) -> bool:
        return self.left_seconds <= 0

    async def within(self, work: Awaitable[Result], least_seconds: float = 0) -> Result:
        """What comes of it; TimeoutError when it takes longer, and longer than the least."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        limit = asyncio.timeout(max(self.left_seconds, least_seconds))

        async def hurry() -> None:
            await self.deleted.wait()
            if not limit.expired():
                until = max(loop.time() + self.left_seconds, begun + least_seconds)
                limit.reschedule(until)

        async with limit:
            hurrying = asyncio.create_task(hurry())
            try:
                return await work
            finally:
                hurrying.cancel()
