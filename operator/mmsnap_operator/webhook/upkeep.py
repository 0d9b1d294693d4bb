"""Brings about what `rotation` and `registration` say: Secret, certificate, registration.

The order matters. A certificate is kept before it is used, so that all replicas of the operator
have the same; the server has it before the API server is told to ask; and an authority counts as
announced only when the API server took the registration with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import aiohttp

from mmsnap_operator.admission import registration as requests
from mmsnap_operator.certificates import Subject
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.names import OPERATOR
from mmsnap_operator.webhook import registration
from mmsnap_operator.webhook.keeping import SECRET, certificates_of, secret_of
from mmsnap_operator.webhook.registration import Place
from mmsnap_operator.webhook.rotation import Certificates, Lifetimes, advance
from mmsnap_operator.webhook.server import WebhookServer
from mmsnap_operator.webhook.settings import Current

log = logging.getLogger(__name__)

_CONFLICT: Final = 409
_TRIES: Final = 5
# Every replica has to look well within the time that an authority is given to settle.
_LOOKS_WHILE_SETTLING: Final = 4
_LOOK_AGAIN_MAX_SECONDS: Final = 60.0

Change = Callable[[Certificates | None, datetime], Certificates]


class Upkeep:
    """Of one operator, in its event loop."""

    def __init__(
        self,
        api: Api,
        server: WebhookServer,
        current: Current,
        place: Place,
        namespace: str,
        *,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        """Nothing is done yet.

        Args:
            current: what the MemoryMachines say; read at each `keep`.
            place: where the API server finds `server`.
            namespace: the operator's own, which has the Secret.
        """
        self._api = api
        self._server = server
        self._current = current
        self._place = place
        self._namespace = namespace
        self._lifetimes = lifetimes or Lifetimes()
        self._subject = _subject(place.host())
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Keep, again and again, until cancelled; what fails is tried again."""
        pause_seconds = min(
            self._lifetimes.settling.total_seconds() / _LOOKS_WHILE_SETTLING,
            _LOOK_AGAIN_MAX_SECONDS,
        )
        while True:
            try:
                await self.keep()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("the webhook's upkeep failed and is tried again: %s", error)
            except Exception:
                # Certificates that nobody renews would be noticed only when pods are refused.
                log.exception("the webhook's upkeep failed and is tried again")
            await asyncio.sleep(pause_seconds)

    async def keep(self) -> None:
        """Let everything be as it is to be now; call it when MemoryMachines change as well.

        Raises:
            ApiError, aiohttp.ClientError: the API server did not take it.
        """
        async with self._turn:
            certificates = await self._change(
                lambda kept, now: advance(kept, self._subject, self._lifetimes, now)
            )
            self._server.use(certificates.serving)
            if await self._register(certificates):
                await self._change(
                    lambda kept, now: (kept or certificates).announced(certificates, now)
                )

    async def _change(self, change: Change) -> Certificates:
        """The certificates as they are kept from now on, by all replicas."""
        for _ in range(_TRIES):
            secret = await self._api.get(kinds.SECRET, SECRET, self._namespace)
            kept = None
            if secret is not None:
                with contextlib.suppress(ValueError):
                    kept = certificates_of(secret)
            wanted = change(kept, datetime.now(UTC))
            if wanted == kept:
                return wanted
            version = secret["metadata"]["resourceVersion"] if secret else None
            manifest = secret_of(wanted, self._namespace, version)
            try:
                await (self._api.apply(manifest) if secret else self._api.create(manifest))
            except ApiError as error:
                if error.status != _CONFLICT:
                    raise
            else:
                return wanted
        raise ApiError(_CONFLICT, f"somebody else keeps changing the Secret {SECRET}")

    async def _register(self, certificates: Certificates) -> bool:
        """Whether the API server was told of these authorities."""
        if not self._current.known:
            return False
        settings = self._current.settings
        place, bundle = self._place, certificates.bundle
        role = await self._api.get(kinds.CLUSTER_ROLE, OPERATOR)
        # Without a MemoryMachine too: what is let in then would be carried out with the next one.
        await self._api.apply(requests.registration(place, bundle, self._namespace, role))
        if settings is None:
            await self._api.delete(kinds.WEBHOOK, registration.NAME)
        else:
            await self._api.apply(
                registration.registration(place, bundle, settings.pod_prefixes, self._namespace)
            )
        return True


def _subject(host: str) -> Subject:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Subject(host)
    return Subject(host, addresses=[host])
