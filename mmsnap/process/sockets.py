"""What is done to a held program's connections, on copies of its sockets.

Before it is killed they are reset. A peer outside of the group notices then, instead of waiting for
an answer that never comes. An inner peer must not hear of it, or its restored end would die of the
old one's death: the network lock, which is held meanwhile, drops that packet. Nothing remains that
would keep a port. And where a CRIU was killed, they are made to work again.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from mmsnap.process.connections import LISTENING, open_sockets, socket_fds

_PIDFD_GETFD: Final = 438  # of all architectures
_TCP_REPAIR: Final = 19
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def reset_at_end(pids: Iterable[int]) -> Iterator[None]:
    """While inside, the held processes may be killed; at the end their connections are gone."""
    pids = list(pids)
    connected = {s.inode for s in open_sockets(pids) if s.state != LISTENING}
    taken: list[socket.socket] = []
    try:
        for pid in pids:
            for fd, inode in socket_fds(pid):
                copy = _take(pid, fd) if inode in connected else None
                if copy is not None:
                    connected.remove(inode)
                    taken.append(copy)
                    copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        yield
    finally:
        for copy in taken:
            copy.close()


def end_repair(pids: Iterable[int]) -> int:
    """Sets connections free that a CRIU which died has left in repair; returns how many."""
    pids = list(pids)
    inodes = {s.inode for s in open_sockets(pids)}
    freed = 0
    for pid in pids:
        for fd, inode in socket_fds(pid):
            copy = _take(pid, fd) if inode in inodes else None
            if copy is None:
                continue
            with copy:
                if copy.getsockopt(socket.IPPROTO_TCP, _TCP_REPAIR):
                    copy.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 0)
                    freed += 1
    return freed


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
