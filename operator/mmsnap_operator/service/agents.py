"""Which agents there are, and asking one of them: another one when the first does not answer.

What is asked here can be asked twice. Whoever takes a checkpoint or restores one has to find out
what became of it before he tries again: see `Agents.once`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc

from mmsnap.errors import AgentUnavailableError
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.names import CLIENT_SECRET
from mmsnap_operator.service.places import AGENT_LABELS, addresses_of, certificates_of
from mmsnap_sdk.async_client import AsyncClient

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[[AsyncClient], Awaitable[Result]]

_KNOWN_SECONDS: Final = 10.0
# No request lasts longer with one agent; a connection that is not used costs nothing meanwhile.
_CLOSING_SECONDS: Final = 3600.0


class Agents:
    """Of one event loop; `namespace` is the operator's own."""

    def __init__(self, api: Api, namespace: str) -> None:
        """Nobody is asked yet."""
        self._api = api
        self._namespace = namespace
        self._clients: dict[str, AsyncClient] = {}
        self._certificates: tuple[bytes, bytes, bytes] | None = None
        self._addresses: list[str] = []
        self._looked = float("-inf")
        self._good = ""
        self._closing: set[asyncio.Task[None]] = set()

    async def ask(self, work: Work[Result]) -> Result:
        """What an agent answers; AgentUnavailableError when none of them does."""
        _, answer = await self._asked(work)
        return answer

    async def once(self, work: Work[Result]) -> Result:
        """The same with one agent only, the one that answered last.

        After AgentUnavailableError nobody knows whether it was done.
        """
        client, _ = await self._asked(lambda client: client.nodes())
        return await work(client)

    async def close(self) -> None:
        """Nobody is asked any more."""
        for closing in self._closing:
            closing.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    async def _asked(self, work: Work[Result]) -> tuple[AsyncClient, Result]:
        """Who answered, and what."""
        reason = AgentUnavailableError("no agent is ready", hint="see the MemoryMachine's status")
        for address in await self._places():
            client = self._clients[address]
            try:
                answer = await work(client)
            except AgentUnavailableError as error:
                if error.subject != address:
                    # It answered: another node does not, and would not answer the next one.
                    self._good = address
                    raise
                log.info("agent at %s: %s: the next one", address, error.message)
                reason, self._looked = error, float("-inf")
                continue
            self._good = address
            return client, answer
        raise reason

    async def _places(self) -> list[str]:
        """The addresses of agents, the one that answered last in front."""
        now = asyncio.get_running_loop().time()
        if now - self._looked > _KNOWN_SECONDS:
            await self._look()
            self._looked = now
        return sorted(self._addresses, key=lambda address: address != self._good)

    async def _look(self) -> None:
        secret = await self._api.get(kinds.SECRET, CLIENT_SECRET, self._namespace)
        certificates = certificates_of(secret)
        if certificates is None:
            self._addresses = []
            return
        addresses = addresses_of(await self._api.list(kinds.POD, self._namespace, AGENT_LABELS))
        # From here on nobody else comes between: others are in the middle of asking.
        known = self._clients if certificates == self._certificates else {}
        for address in {*self._clients, *addresses}:
            if address not in known:
                self._close_later(address)
                self._clients[address] = AsyncClient(address, _credentials(certificates))
        self._addresses, self._certificates = addresses, certificates

    def _close_later(self, address: str) -> None:
        """When what others have under way with it has ended."""
        client = self._clients.get(address)
        if client is not None:
            closing = asyncio.create_task(_close(client))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _close(client: AsyncClient) -> None:
    try:
        await asyncio.sleep(_CLOSING_SECONDS)
    finally:
        await client.close()


def _credentials(certificates: tuple[bytes, bytes, bytes]) -> grpc.ChannelCredentials:
    authority, certificate, key = certificates
    return grpc.ssl_channel_credentials(authority, key, certificate)
