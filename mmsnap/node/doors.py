"""A socket at which members come in: the machine's own, or that of one pod."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from mmsnap.node.lines import Line
from mmsnap.node.peers import peer_of

log = logging.getLogger(__name__)


class Door:
    """Listens, and counts who came in, so that nobody takes all the places."""

    def __init__(self, path: Path, mode: int, lines_max: int, *, trusted_only: bool) -> None:
        """Listen; what a predecessor left in its place goes.

        Args:
            mode: of the socket's file.
            lines_max: how many lines of this door there may be at a time.
            trusted_only: only the service's own user and root come in.

        Raises:
            OSError: there can be no socket of that path.
        """
        self.path = path
        self._lines_max = lines_max
        self._trusted_only = trusted_only
        self._lines: list[Line] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path.unlink(missing_ok=True)
        self._socket.bind(os.fspath(path))
        path.chmod(mode)
        self._socket.listen(128)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self, now_ns: int, ended: set[Line], *, full: bool) -> Line | None:
        """The line of who came, unless it may not come in or there is no place."""
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            log.warning("a member's connection was not accepted: %s", error)
            return None
        peer = peer_of(connection)
        self._lines = [line for line in self._lines if not line.broken]
        crowded = full or len(self._lines) >= self._lines_max
        if crowded or (self._trusted_only and not peer.trusted):
            log.warning("refused a connection of process %d, user %d", peer.pid, peer.uid)
            connection.close()
            return None
        line = Line(connection, peer, now_ns, ended)
        self._lines.append(line)
        return line

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()
