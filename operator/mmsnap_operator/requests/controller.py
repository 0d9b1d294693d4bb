"""Runs every request that is not over, each in a task of its own, and lets go of those that are.

A pass looks at all of them and remembers nothing but the tasks; so it does not matter which event
was seen, or whether this operator is the one that began. The finalizer holds a request that is
being deleted until nothing of it is under way any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import aiohttp

from mmsnap_operator.admission.admitted import require_admitted
from mmsnap_operator.checkpoints.keeping import Keeping
from mmsnap_operator.checkpoints.taking import CheckpointTaking
from mmsnap_operator.cluster import Api, ApiError, Kind, kinds
from mmsnap_operator.names import WORK_FINALIZER
from mmsnap_operator.requests.ending import is_expired, is_finished, now
from mmsnap_operator.requests.finalizers import hold, release
from mmsnap_operator.requests.report import Report
from mmsnap_operator.requests.site import Site
from mmsnap_operator.requests.turns import Turns
from mmsnap_operator.restores.running import RestoreRunning
from mmsnap_operator.service import Agents
from mmsnap_operator.workloads.refusals import Refused

log = logging.getLogger(__name__)

TROUBLE: Final = (ApiError, aiohttp.ClientError, TimeoutError)
_LOOK_AGAIN_SECONDS: Final = 10.0
_AFTER_FAILURE_SECONDS: Final = 2.0


class Running(Protocol):
    """A request that is carried out; see `CheckpointTaking` and `RestoreRunning`."""

    deleted: asyncio.Event

    @property
    def has_begun(self) -> bool:
        """Whether it has to be brought to an end."""

    async def run(self) -> None:
        """To its end."""


_RUNNERS: Final[Mapping[Kind, Callable[[Site, Mapping[str, Any]], Running]]] = {
    kinds.CHECKPOINT_REQUEST: CheckpointTaking,
    kinds.RESTORE_REQUEST: RestoreRunning,
}


class Requests:
    """Of one operator, in its event loop; `namespace` is the operator's own."""

    def __init__(self, api: Api, namespace: str) -> None:
        """Nothing runs yet."""
        self._api = api
        self._agents = Agents(api, namespace)
        self._site = Site(api, self._agents, Turns(api))
        self._keeping = Keeping(self._site, namespace)
        self._tasks: dict[str, tuple[Running, asyncio.Task[bool]]] = {}
        self._wake = asyncio.Event()
        self._wake_keeping = asyncio.Event()

    @property
    def site(self) -> Site:
        """For others that act on groups."""
        return self._site

    def start(self) -> None:
        """Look at requests from now on, and at checkpoints, which may take long."""
        looks = ((self._wake, self._look_at_all), (self._wake_keeping, self._keeping.look))
        self._loops = [asyncio.create_task(self._run(*look)) for look in looks]

    def wake(self) -> None:
        """Something changed: look at once."""
        self._wake.set()
        self._wake_keeping.set()

    async def stop(self) -> None:
        """What agents do goes on; whoever comes next finds out what became of it."""
        ending = [*self._loops, *(task for _, task in self._tasks.values())]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._agents.close()

    async def _run(self, wake: asyncio.Event, look: Callable[[], Awaitable[bool]]) -> None:
        while True:
            wake.clear()
            well = False
            try:
                well = await look()
            except TROUBLE as error:
                log.warning("requests: %s: again soon", error)
            except Exception:
                log.exception("requests: again soon")
            try:
                await asyncio.wait_for(
                    wake.wait(), _LOOK_AGAIN_SECONDS if well else _AFTER_FAILURE_SECONDS
                )
            except TimeoutError:
                continue

    async def _look_at_all(self) -> bool:
        """Whether all went well; what goes wrong with one request stops no other."""
        well = True
        for kind in _RUNNERS:
            for request in await self._api.list(kind):
                try:
                    await self._look(kind, request)
                except TROUBLE as error:
                    log.warning("%s: %s: again soon", _called(kind, request), error)
                    well = False
                except Exception:
                    log.exception("%s: again soon", _called(kind, request))
                    well = False
        return well

    async def _look(self, kind: Kind, request: Mapping[str, Any]) -> None:
        uid: str = request["metadata"]["uid"]
        deleting = bool(request["metadata"].get("deletionTimestamp"))
        running, task = self._tasks.get(uid, (None, None))
        if running is not None and task is not None and not task.done():
            if deleting:
                running.deleted.set()
                if not running.has_begun:
                    task.cancel()
            return
        self._tasks.pop(uid, None)
        fresh = _RUNNERS[kind](self._site, request)
        is_over = is_finished(request) or (deleting and not fresh.has_begun)
        if is_over or (deleting and _came_to_an_end(task)):
            await release(self._api, kind, request, WORK_FINALIZER)
            if not deleting and is_expired(request, now()):
                await self._api.delete(
                    kind, request["metadata"]["name"], request["metadata"]["namespace"]
                )
            return
        if kind == kinds.RESTORE_REQUEST and not deleting:
            try:
                await require_admitted(self._api, request)
            except Refused as refused:
                await Report(self._api, kind, request).failed(refused.reason, refused.message)
                return
        if deleting:
            fresh.deleted.set()
        elif not await hold(self._api, kind, request, WORK_FINALIZER):
            return
        self._tasks[uid] = fresh, self._started(kind, request, fresh)

    def _started(
        self, kind: Kind, request: Mapping[str, Any], running: Running
    ) -> asyncio.Task[bool]:
        name = _called(kind, request)

        async def run() -> bool:
            try:
                await running.run()
                return True
            except TROUBLE as error:
                log.warning("%s: %s: again soon", name, error)
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
            except Exception:
                log.exception("%s: again soon", name)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            finally:
                self.wake()
            return False

        return asyncio.create_task(run(), name=name)


def _called(kind: Kind, request: Mapping[str, Any]) -> str:
    metadata = request["metadata"]
    return f"{kind.name} {metadata['namespace']}/{metadata['name']}"


def _came_to_an_end(task: asyncio.Task[bool] | None) -> bool:
    """Whether there is nothing left to do, and not only trouble that passes."""
    return task is not None and not task.cancelled() and task.result()
