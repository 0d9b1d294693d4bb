"""TLS of links between nodes: the certificates of gRPC's, on sockets of our own.

Both ends show a certificate of the cluster's authority, as for gRPC, and are checked in the same
way. A handshake takes the event loop's time, not that of the switchboard's thread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Final

from mmsnap.errors import NotFoundError
from mmsnap.node.tls import TlsFiles

log = logging.getLogger(__name__)

# What the kernel has to find out by itself: whether the other machine is there at all.
_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class LinkTls:
    """A node's certificates for links, read again when they change."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._known: tuple[bytes, bytes, bytes] | None = None
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def wrap(self, connection: socket.socket, *, server: str = "") -> ssl.SSLSocket:
        """The connection with TLS to be begun on it; NotFoundError, ssl.SSLError, OSError.

        Args:
            server: the host that was connected to; empty: it connected to us.
        """
        connection.setblocking(False)
        for level, name, value in _ALIVE:
            connection.setsockopt(level, name, value)
        self._renew()
        return self._contexts[not server].wrap_socket(
            connection,
            server_side=not server,
            server_hostname=server or None,
            do_handshake_on_connect=False,
        )

    def _renew(self) -> None:
        try:
            now = self._files.read()
            if now == self._known:
                return
            contexts = {accepting: self._context(accepting, now[0]) for accepting in (True, False)}
        except (NotFoundError, ssl.SSLError) as error:
            if self._known is None:
                raise
            log.warning("%s: going on with the certificates before", error)
            return
        self._known, self._contexts = now, contexts

    def _context(self, accepting: bool, authority: bytes) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if accepting else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        # As gRPC has it: whoever is in the file is trusted, whether or not it signed itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=authority.decode("ascii", errors="replace"))
        context.load_cert_chain(self._files.certificate, self._files.key)
        if accepting:
            context.num_tickets = 0  # a link is made once
        return context


async def shake_hands(connection: ssl.SSLSocket) -> None:
    """Until both ends know each other; ssl.SSLError, OSError."""
    while True:
        try:
            connection.do_handshake()
            return
        except ssl.SSLWantReadError:
            await _readable(connection)
        except ssl.SSLWantWriteError:
            await _writable(connection)


async def read_exactly(connection: ssl.SSLSocket, size: int) -> bytes:
    """So many bytes and not one more; fewer when the connection ends; OSError."""
    read = b""
    while len(read) < size:
        try:
            some = connection.recv(size - len(read))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            await _readable(connection)
            continue
        if not some:
            return read
        read += some
    return read


def common_name(connection: ssl.SSLSocket) -> str:
    """Whom the other end's certificate names; empty: nobody."""
    subject = (connection.getpeercert() or {}).get("subject", ())
    names = [pair[1] for part in subject for pair in part if pair[0] == "commonName"]
    return str(names[0]) if names else ""


async def _readable(connection: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(connection)


async def _writable(connection: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(connection, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(connection)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
