"""What kopf calls: when a MemoryMachine comes, changes or goes, and when what it made changes.

For each MemoryMachine one loop reconciles it, again and again, and at once when it is woken. That
is all the logic there is here; the rest is in `reconciliation` and `removal`. Requests have a loop
of their own (`requests.controller`), which is only woken here: it keeps its own finalizers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Final

import aiohttp
import kopf

from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.lost_nodes import LostNodes
from mmsnap_operator.names import (
    API_VERSION,
    FINALIZER,
    GROUP,
    MANAGED_BY_LABEL,
    OPERATOR,
    PLURAL,
    VERSION,
)
from mmsnap_operator.pod_webhook import PodWebhook
from mmsnap_operator.reconciliation import reconcile
from mmsnap_operator.removal import remove
from mmsnap_operator.requests.controller import Requests
from mmsnap_operator.surroundings import Surroundings
from mmsnap_operator.usage import FIELDS as USAGE_FIELDS
from mmsnap_operator.usage import UsageReport

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS: Final = 15.0
_AFTER_FAILURE_SECONDS: Final = 3.0
_REMOVAL_SECONDS: Final = 900.0
_TROUBLE: Final = (ApiError, aiohttp.ClientError, TimeoutError)


class Handlers:
    """The handlers of one operator, registered in a registry of its own."""

    def __init__(self, registry: kopf.OperatorRegistry, surroundings: Surroundings) -> None:
        """Registers them; nothing happens before kopf runs."""
        self._surroundings = surroundings
        self._wakes: MutableMapping[str, asyncio.Event] = {}
        self._turns: MutableMapping[str, asyncio.Lock] = {}
        self._seen: MutableMapping[str, tuple[int, bool, Any]] = {}
        kopf.on.login(registry=registry)(kopf.login_with_service_account)
        kopf.on.login(registry=registry)(kopf.login_with_kubeconfig)
        kopf.on.startup(registry=registry)(self.start)
        kopf.on.cleanup(registry=registry)(self.stop)
        kopf.daemon(GROUP, VERSION, PLURAL, registry=registry, cancellation_timeout=5)(self.keep)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(self.wake_changed)
        kopf.on.delete(GROUP, VERSION, PLURAL, registry=registry, timeout=_REMOVAL_SECONDS)(
            self.delete
        )
        for plural in ("daemonsets", "statefulsets"):
            kopf.on.event(
                "apps", "v1", plural, registry=registry, labels={MANAGED_BY_LABEL: OPERATOR}
            )(self.wake_all)
        for kind in (kinds.CHECKPOINT_REQUEST, kinds.RESTORE_REQUEST, kinds.CHECKPOINT):
            kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(self.wake_requests)

    async def start(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        """Before anything is watched."""
        settings.persistence.finalizer = FINALIZER
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
        settings.posting.level = logging.WARNING
        # A connection that nobody closed and nothing comes through is taken for dead.
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        self._api = Api.connect()
        self._requests = Requests(self._api, self._surroundings.namespace)
        self._webhook = PodWebhook(self._requests.site, self._surroundings.namespace)
        await self._webhook.start()
        self._requests.start()
        watching = (self._api, self._requests.site.agents, self._surroundings.namespace)
        self._watching = [
            asyncio.create_task(UsageReport(*watching).keep()),
            asyncio.create_task(LostNodes(*watching).keep()),
        ]

    async def stop(self, **_: Any) -> None:
        """After everything has ended."""
        for task in self._watching:
            task.cancel()
        await asyncio.wait(self._watching)
        await self._webhook.stop()
        await self._requests.stop()
        await self._api.close()

    async def keep(
        self, *, uid: str, name: str, namespace: str | None, stopped: Any, **_: Any
    ) -> None:
        """Reconcile a MemoryMachine until it is deleted or the operator ends."""
        wake = self._wakes.setdefault(uid, asyncio.Event())
        turn = self._turns.setdefault(uid, asyncio.Lock())
        while not stopped:
            wake.clear()
            pause_seconds = _LOOK_AGAIN_SECONDS
            try:
                await self._webhook.look()
                async with turn:
                    await reconcile(self._api, self._surroundings, namespace or "", name)
            except _TROUBLE as error:
                log.warning("%s/%s: %s: again soon", namespace, name, error)
                pause_seconds = _AFTER_FAILURE_SECONDS
            try:
                await asyncio.wait_for(wake.wait(), pause_seconds)
            except TimeoutError:
                continue

    async def wake_changed(self, *, uid: str, meta: Any, status: Any, **_: Any) -> None:
        """A MemoryMachine changed; what its nodes' pools hold does, all the time."""
        told = {name: value for name, value in status.items() if name not in USAGE_FIELDS}
        now = (meta.get("generation", 0), "deletionTimestamp" in meta, told)
        if self._seen.get(uid) != now:
            self._seen[uid] = now
            await self.wake_all()

    async def wake_all(self, **_: Any) -> None:
        """Something changed; there is one MemoryMachine, or a few at odds."""
        for wake in self._wakes.values():
            wake.set()

    async def wake_requests(self, **_: Any) -> None:
        """A request or a Checkpoint came, changed or went."""
        self._requests.wake()

    async def delete(self, *, uid: str, name: str, namespace: str | None, **_: Any) -> None:
        """Remove what a MemoryMachine made; kopf holds it by a finalizer until this returns."""
        turn = self._turns.setdefault(uid, asyncio.Lock())
        await self._let_pods_be()
        async with turn:
            machine = await self._api.get(kinds.MEMORY_MACHINE, name, namespace or "")
            if machine is not None:
                await self._remove(machine)
        self._wakes.pop(uid, None)
        self._seen.pop(uid, None)
        self._turns.pop(uid, None)

    async def _let_pods_be(self) -> None:
        """No pod gets a volume any more that nobody would serve."""
        try:
            await self._webhook.look()
        except _TROUBLE as error:
            raise kopf.TemporaryError(str(error), delay=_AFTER_FAILURE_SECONDS) from error

    async def _remove(self, machine: dict[str, Any]) -> None:
        machine = {"apiVersion": API_VERSION, "kind": "MemoryMachine", **machine}
        try:
            await remove(self._api, self._surroundings, machine)
        except _TROUBLE as error:
            raise kopf.TemporaryError(str(error), delay=_AFTER_FAILURE_SECONDS) from error
