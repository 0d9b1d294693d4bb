"""The webhook as a part of the running operator: started, told of the MemoryMachine, stopped.

What it does to pods is in the package `webhook`, what it says to requests in `admission`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

import aiohttp

from mmsnap_operator import charge, configuration
from mmsnap_operator.admission.registration import PATH
from mmsnap_operator.admission.review import RequestReviews
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_operator.names import WEBHOOK
from mmsnap_operator.requests.site import Site
from mmsnap_operator.webhook.registration import ServicePlace
from mmsnap_operator.webhook.server import WebhookServer
from mmsnap_operator.webhook.settings import Current, Settings
from mmsnap_operator.webhook.upkeep import Upkeep

log = logging.getLogger(__name__)

PORT: Final = 9443
_AFTER_FAILURE_SECONDS: Final = 3.0


class PodWebhook:
    """Of one operator, in its event loop."""

    def __init__(self, site: Site, namespace: str) -> None:
        """Nothing listens yet; `namespace` is the operator's own."""
        api = site.api
        self._api = api
        self._namespace = namespace
        self._current = Current()
        # For what it was last registered; None: never yet.
        self._kept: tuple[Settings | None] | None = None
        requests = RequestReviews(site, self._current, namespace)
        self._server = WebhookServer(self._current, {PATH: requests.answer})
        place = ServicePlace(WEBHOOK, namespace)
        self._upkeep = Upkeep(api, self._server, self._current, place, namespace)

    async def start(self) -> None:
        """Serve, and keep certificates and registration; OSError: the port is taken."""
        await self._server.start(None, PORT)
        self._running = asyncio.create_task(self._run())

    async def look(self) -> None:
        """What holds for pods from now on; ApiError. One that is being deleted does not count."""
        machines = await self._api.list(kinds.MEMORY_MACHINE)
        leader = charge.in_charge(machines, self._namespace)
        settings = None
        if leader is not None and not leader["metadata"].get("deletionTimestamp"):
            wanted = configuration.read(leader.get("spec") or {}, self._namespace)
            settings = Settings(wanted.image, wanted.pod_prefixes)
        if self._kept == (settings,) and settings == self._current.settings:
            return
        self._current.tell(settings)
        await self._upkeep.keep()
        self._kept = (settings,)

    async def _run(self) -> None:
        """Without a MemoryMachine nobody else would look."""
        while self._kept is None:
            try:
                await self.look()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("what is in force is not known yet: %s", error)
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
        await self._upkeep.run()

    async def stop(self) -> None:
        """What was asked is still answered."""
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        await self._server.stop()
