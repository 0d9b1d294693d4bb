"""Who is at the other end of a Unix socket, as the kernel says it."""

from __future__ import annotations

import os
import select
import socket
import struct
from dataclasses import dataclass
from typing import Final

_UCRED: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected."""

    pid: int
    uid: int

    @property
    def trusted(self) -> bool:
        """The service's own user, or root."""
        return self.uid in (0, os.geteuid())


def peer_of(connection: socket.socket) -> Peer:
    """The peer's credentials at the time it connected (SO_PEERCRED)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(credentials)
    return Peer(pid, uid)


def is_running(pid: int) -> bool:
    """Whether a process of this id runs; one that died and was not yet waited for does not."""
    if pid <= 0:
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return not select.select([handle], [], [], 0)[0]
    finally:
        os.close(handle)
