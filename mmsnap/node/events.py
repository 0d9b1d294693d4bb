"""What happens in the service, told to whoever watches.

Watchers that read too slowly are cut off rather than waited for or buffered
without end. Events are not kept: a watcher sees what happens from now on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
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
    node: str = ""  # empty: this one


class Watcher:
    """One who watches; may be told of other nodes, too."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._behind = False
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def tell(self, event: Event) -> None:
        # What happens to a node is everybody's business.
        if self._behind or (self._group and event.group not in ("", self._group)):
            return
        self._behind = self._queue.qsize() >= _BACKLOG_MAX
        self._queue.put_nowait(None if self._behind else event)

    async def heard(self) -> AsyncIterator[Event]:
        """Event by event; AbortedError when it fell behind."""
        while (event := await self._queue.get()) is not None:
            yield event
        raise AbortedError("the watcher fell behind", hint="watch again and read faster")


class Events:
    """Hands every event to every watcher. Of one event loop."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._listeners: list[Callable[[Event], None]] = []

    def tell(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher.tell(event)
        for listener in self._listeners:
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """A part of the service is told at once of all that happens here."""
        self._listeners.append(listener)

    @contextmanager
    def watcher(self, group: str = "") -> Iterator[Watcher]:
        """One for the events of a group, or of all; InUseError when too many watch already."""
        if len(self._watchers) >= WATCHERS_MAX:
            raise InUseError(f"{WATCHERS_MAX} watchers watch already", hint="end one of them")
        watcher = Watcher(group)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def watch(self, group: str = "") -> AsyncIterator[Event]:
        """What happens here, in a group or in all.

        Raises:
            InUseError: too many watch already.
            AbortedError: this watcher fell behind.
        """
        with self.watcher(group) as watcher:
            async for event in watcher.heard():
                yield event
