"""What happens in the service, told to whoever watches.

Watchers that read too slowly are cut off rather than waited for or buffered
without end. Events are not kept: a watcher sees what happens from now on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from mmsnap.errors import AbortedError, InUseError

WATCHERS_MAX: Final = 64
_BACKLOG_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `kind` as listed in mmsnap.proto, WatchResponse."""

    kind: str
    group: str
    member: str = ""
    epoch: int = 0
    text: str = ""
    at_ns: int = field(default_factory=time.time_ns)


class Events:
    """Hands every event to every watcher. Of one event loop."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    def tell(self, event: Event) -> None:
        for queue in tuple(self._watchers):
            if queue.qsize() < _BACKLOG_MAX:
                queue.put_nowait(event)
            else:
                self._watchers.discard(queue)
                queue.put_nowait(None)

    async def watch(self, group: str = "") -> AsyncIterator[Event]:
        """Events of a group, or of all.

        Raises:
            InUseError: too many watch already.
            AbortedError: this watcher fell behind.
        """
        if len(self._watchers) >= WATCHERS_MAX:
            raise InUseError(f"{WATCHERS_MAX} watchers watch already", hint="end one of them")
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            while (event := await queue.get()) is not None:
                if group in ("", event.group):
                    yield event
            raise AbortedError("the watcher fell behind", hint="watch again and read faster")
        finally:
            self._watchers.discard(queue)
