"""One member's connection: packets in and out, never blocking."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from mmsnap.group.messages import Hello, Report
from mmsnap.node.packets import SIZE_BYTES, PacketError, decode
from mmsnap.node.peers import Peer

# A member sends a handful of packets an operation; one that floods waits for its turn.
_PACKETS_AT_ONCE: Final = 64


class Line:
    """A connected process; it is a member once it said the token it was given.

    A line that breaks, whoever finds out first, puts itself into `ended`.
    """

    distant: Final = False

    def __init__(
        self, connection: socket.socket, peer: Peer, since_ns: int, ended: set[Line]
    ) -> None:
        connection.setblocking(False)
        self.peer = peer
        self.since_ns = since_ns
        self.token = 0  # 0: has not said Hello yet
        self.said_bye = False
        self.broken = ""  # why nothing more can be said or heard
        self._socket = connection
        self._ended = ended

    def fileno(self) -> int:
        return self._socket.fileno()

    def end(self, reason: str) -> None:
        """Nothing more is said or heard; the first reason counts."""
        if not self.broken:
            self.broken = reason
            self._ended.add(self)

    def send(self, packet: bytes) -> None:
        """Give the packet to the kernel; a member that reads nothing breaks its line."""
        if self.broken:
            return
        try:
            self._socket.send(packet)
        except BlockingIOError:
            self.end("does not read its orders")
        except OSError as error:
            self.end(f"connection ended: {error.strerror}")

    def flush(self) -> None:
        """Nothing is kept back."""

    def receive(self) -> Iterator[tuple[Report, bytes]]:
        """What has come, and its packets.

        The line is broken when the other end is gone or talks nonsense.
        """
        for _ in range(_PACKETS_AT_ONCE):
            if self.broken:
                return
            try:
                # One byte more than a message, so that a longer packet does not pass for one.
                packet = self._socket.recv(SIZE_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as error:
                self.end(f"connection ended: {error.strerror}")
                return
            if not packet:
                self.end("connection ended")
                return
            try:
                token, report = decode(packet)
            except PacketError as error:
                self.end(f"sent nonsense: {error}")
                return
            if isinstance(report, Hello):
                self.token = self.token or token
            yield report, packet

    def close(self) -> None:
        self._socket.close()
