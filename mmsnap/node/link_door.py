"""Where the links of other nodes come in, and how this node makes its own.

Nobody comes in who was not invited: an Enlist call of a node hands out a token for one link, and
only a certificate of the same name may bring it. Whoever else comes is let go at once, and who says
nothing when there is no room for more. It knows nothing of what is said on a link.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mmsnap.errors import AbortedError, MmsnapError
from mmsnap.node.link_tls import LinkTls, common_name, read_exactly, shake_hands

log = logging.getLogger(__name__)

TOKEN_BYTES: Final = 32
ARRIVING_MAX: Final = 64
_WELCOME: Final = b"\x01"
_ARRIVAL_SECONDS: Final = 5.0


class Invitation:
    """For one link of one node."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.token = secrets.token_bytes(TOKEN_BYTES)
        self._came: asyncio.Future[ssl.SSLSocket] = asyncio.get_running_loop().create_future()

    async def accepted(self) -> ssl.SSLSocket:
        """Its connection, when it has come; AbortedError: it did not."""
        try:
            return await asyncio.wait_for(self._came, _ARRIVAL_SECONDS)
        except TimeoutError:
            raise AbortedError(f"no link came from node {self.node}", subject=self.node) from None

    def fulfil(self, connection: ssl.SSLSocket) -> bool:
        """It came; False: nobody waits for it any more."""
        if self._came.done():
            return False
        self._came.set_result(connection)
        return True


class LinkDoor:
    """A listening port for links. Of one event loop."""

    def __init__(self, host: str, port: int, tls: LinkTls) -> None:
        """Listen; `port` 0: any that is free. OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server(
            (host, port), family=family, dualstack_ipv6=host == "::"
        )
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._tls = tls
        self._invitations: dict[bytes, Invitation] = {}
        self._arriving: dict[asyncio.Task[None], None] = {}  # in their order
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listener, self._accept)

    @contextmanager
    def invitation(self, node: str) -> Iterator[Invitation]:
        """For a link that the node of this name may bring, for as long as this lasts."""
        made = Invitation(node)
        self._invitations[made.token] = made
        try:
            yield made
        finally:
            self._invitations.pop(made.token, None)

    async def close(self) -> None:
        """Let nobody in any more; links that stand are none of its business."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in tuple(self._arriving):
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            log.warning("a node's link was not accepted: %s", error)
            return
        if len(self._arriving) >= ARRIVING_MAX:
            # Who was asked in is through in no time, so it is hardly one of those.
            longest = next(iter(self._arriving))
            del self._arriving[longest]
            longest.cancel()
        task = self._loop.create_task(self._arrive(connection))
        self._arriving[task] = None
        task.add_done_callback(lambda done: self._arriving.pop(done, None))

    async def _arrive(self, connection: socket.socket) -> None:
        taken = False
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                connection = secured = self._tls.wrap(connection)
                await shake_hands(secured)
                token = await read_exactly(secured, TOKEN_BYTES)
            taken = self._admit(secured, token)
        except (OSError, MmsnapError) as error:
            log.warning("a link was refused: %s", str(error) or "it said nothing in time")
        finally:
            if not taken:
                connection.close()

    def _admit(self, connection: ssl.SSLSocket, token: bytes) -> bool:
        name, invitation = common_name(connection), self._invitations.get(token)
        if invitation is None or invitation.node != name:
            log.warning("a link was refused: %s was not asked for it", name or "nobody")
            return False
        del self._invitations[token]
        connection.send(_WELCOME)
        return invitation.fulfil(connection)


async def open_link(host: str, port: int, token: bytes, node: str, tls: LinkTls) -> ssl.SSLSocket:
    """A link to a node, which invited to it; TimeoutError, OSError, MmsnapError."""
    async with asyncio.timeout(_ARRIVAL_SECONDS):
        connection: socket.socket = await _connect(host, port)
        try:
            connection = secured = tls.wrap(connection, server=host)
            await shake_hands(secured)
            if common_name(secured) != node:
                raise PermissionError(f"there is {common_name(secured) or 'nobody'} at its address")
            secured.send(token)
            if await read_exactly(secured, len(_WELCOME)) != _WELCOME:
                raise ConnectionRefusedError("it refused a link that it had asked for")
        except BaseException:
            connection.close()
            raise
    return secured


def host_of(address: str) -> str:
    """The host of HOST:PORT."""
    return address.rpartition(":")[0].removeprefix("[").removesuffix("]")


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    refusal: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            refusal = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise refusal or OSError(f"{host} has no address")
