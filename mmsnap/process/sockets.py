"""Ending the connections of a program that is about to be killed, each in its own way.

An inner connection must vanish without a word: the peer's restored end must not hear of the death
of the old one, and no remains may keep its port. An outer one must be reset, so that the peer
notices at once. Both are prepared on copies of the sockets, taken from the held process.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from mmsnap.process.connections import LISTENING, Connection, open_sockets, socket_fds

_PIDFD_GETFD: Final = 438  # of all architectures
_TCP_REPAIR: Final = 19
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def silenced(pids: Iterable[int], inner: Collection[Connection]) -> Iterator[int]:
    """While inside, the processes may be killed; at the end their connections are gone.

    Yields how many connections to the outside are reset.
    """
    pids = list(pids)
    known = {s.inode: s for s in open_sockets(pids) if s.state != LISTENING}
    taken: list[socket.socket] = []
    outer_count = 0
    try:
        for pid in pids:
            for fd, inode in socket_fds(pid):
                if inode not in known:
                    continue
                connection = known.pop(inode).connection
                copy = _take(pid, fd)
                if copy is None:
                    continue
                taken.append(copy)
                if connection in inner:
                    copy.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
                else:
                    copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    outer_count += 1
        yield outer_count
    finally:
        for copy in taken:
            copy.close()


def _take(pid: int, fd: int) -> socket.socket | None:
    """A copy of another process's socket; None when the process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        copied = _libc.syscall(_PIDFD_GETFD, handle, fd, 0)
    finally:
        os.close(handle)
    return socket.socket(fileno=copied) if copied >= 0 else None
