"""What kopf calls: when a CheckpointSchedule comes, changes or goes, and when a run ends.

Each schedule has one loop, which looks at it again and again, and at once when it is woken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Final

import aiohttp
import kopf

from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.names import GROUP, VERSION
from mmsnap_operator.requests.failures import AGENT_ERRORS
from mmsnap_operator.schedules.keeping import end, look
from mmsnap_operator.service import Agents

log = logging.getLogger(__name__)

_AFTER_FAILURE_SECONDS: Final = 3.0
_REMOVAL_SECONDS: Final = 900.0
_TROUBLE: Final = (ApiError, aiohttp.ClientError, TimeoutError)


class ScheduleHandlers:
    """Of one operator, registered in its registry."""

    def __init__(self, registry: kopf.OperatorRegistry, namespace: str) -> None:
        """Registers them; `namespace` is the operator's own."""
        self._namespace = namespace
        self._wakes: MutableMapping[str, asyncio.Event] = {}
        self._generations: MutableMapping[str, int] = {}
        plural = kinds.CHECKPOINT_SCHEDULE.plural
        kopf.on.startup(registry=registry)(self.start_schedules)
        kopf.on.cleanup(registry=registry)(self.stop_schedules)
        kopf.daemon(GROUP, VERSION, plural, registry=registry, cancellation_timeout=5)(
            self.keep_schedule
        )
        kopf.on.event(GROUP, VERSION, plural, registry=registry)(self.wake_one)
        kopf.on.delete(GROUP, VERSION, plural, registry=registry, timeout=_REMOVAL_SECONDS)(
            self.delete_schedule
        )
        for kind in (kinds.CHECKPOINT_REQUEST, kinds.RESTORE_REQUEST):
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(self.wake_schedules)

    async def start_schedules(self, **_: Any) -> None:
        """Before anything is watched."""
        self._api = Api.connect()
        self._agents = Agents(self._api, self._namespace)

    async def stop_schedules(self, **_: Any) -> None:
        """After everything has ended."""
        await self._agents.close()
        await self._api.close()

    async def keep_schedule(
        self, *, uid: str, name: str, namespace: str | None, stopped: Any, **_: Any
    ) -> None:
        """Look at a schedule until it is deleted or the operator ends."""
        wake = self._wakes.setdefault(uid, asyncio.Event())
        while not stopped:
            wake.clear()
            try:
                pause_seconds = await look(self._api, self._agents, namespace or "", name)
            except _TROUBLE as error:
                log.warning("%s/%s: %s: again soon", namespace, name, error)
                pause_seconds = _AFTER_FAILURE_SECONDS
            try:
                await asyncio.wait_for(wake.wait(), pause_seconds)
            except TimeoutError:
                continue

    async def wake_one(self, *, uid: str, meta: Any, **_: Any) -> None:
        """It was changed, and not only by what is written into its status."""
        generation = meta.get("generation", 0)
        wake = self._wakes.get(uid)
        if wake is not None and self._generations.get(uid) != generation:
            wake.set()
        self._generations[uid] = generation

    async def wake_schedules(self, **_: Any) -> None:
        """A request began or ended; whose it is, each looks for itself."""
        for wake in self._wakes.values():
            wake.set()

    async def delete_schedule(self, *, uid: str, body: Any, **_: Any) -> None:
        """Have the agents keep it no more; kopf holds it by a finalizer until this returns."""
        self._wakes.pop(uid, None)
        self._generations.pop(uid, None)
        try:
            await end(self._api, self._agents, body)
        except (*_TROUBLE, *AGENT_ERRORS) as error:
            raise kopf.TemporaryError(str(error), delay=_AFTER_FAILURE_SECONDS) from error
