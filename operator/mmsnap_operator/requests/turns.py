"""One request at a time for each group: the others wait, and say for whom.

A lock in memory orders those that this operator runs. After it died, a request that had begun goes
before all that had not: what it left half-way is finished first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.requests.ending import is_finished

Manifest = Mapping[str, Any]

_LOOK_SECONDS: Final = 1.0


class Turns:
    """Of one operator."""

    def __init__(self, api: Api) -> None:
        """Nobody has a turn yet."""
        self._api = api
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._holders: dict[str, str] = {}

    @asynccontextmanager
    async def turn(
        self, group: str, mine: Manifest, waiting: Callable[[str], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """The group for one request; `waiting` is told who has it meanwhile."""
        metadata = mine["metadata"]
        lock = self._locks[group]
        if lock.locked():
            await waiting(self._holders.get(group, "another request"))
        async with lock:
            self._holders[group] = f"{mine['kind']} {metadata['name']}"
            while (before := await self._half_done(group, mine)) is not None:
                await waiting(f"{before['kind']} {before['metadata']['name']}")
                lock.release()
                try:
                    await asyncio.sleep(_LOOK_SECONDS)
                finally:
                    await lock.acquire()
            yield

    async def _half_done(self, group: str, mine: Manifest) -> Manifest | None:
        namespace = mine["metadata"]["namespace"]
        found: list[Manifest] = []
        for kind in (kinds.CHECKPOINT_REQUEST, kinds.RESTORE_REQUEST):
            found += [{**one, "kind": kind.name} for one in await self._api.list(kind, namespace)]
        return goes_first(found, group, mine)


def goes_first(requests: Sequence[Manifest], group: str, mine: Manifest) -> Manifest | None:
    """A request that has begun with a group and has not ended, if it is not this one.

    When several have begun, which only happens when an operator died between two writes, the
    oldest goes first.
    """
    begun = [
        one
        for one in requests
        if not is_finished(one) and (one.get("status") or {}).get("group") == group
    ]
    first = min(
        begun, key=lambda one: (one["status"].get("startTime", ""), _uid(one)), default=None
    )
    return None if first is None or _uid(first) == _uid(mine) else first


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])
