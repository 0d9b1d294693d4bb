"""Namespaces for a program: its own process ids, mounts and IPC.

Process ids are taken again when a program is restored, so they must be its own. Clocks need no
namespace from us: CRIU notes them at the cut and restores a program into a time namespace where
they go on from there, whatever the machine's clocks say by then. Python 3.11 has no call for
these; they are made through the C library here, and nowhere else.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)

_NEW_MOUNT: Final = 0x00020000
_NEW_IPC: Final = 0x08000000
_NEW_PID: Final = 0x20000000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 1 << 18
_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_NOEXEC: Final = 8
_PR_SET_CHILD_SUBREAPER: Final = 36


def leave_namespaces() -> None:
    """The next child is the first process of new namespaces; OSError without root."""
    _check(_libc.unshare(_NEW_PID | _NEW_MOUNT | _NEW_IPC), "new namespaces")


def own_mounts() -> None:
    """For the first process of the namespaces: mounts stay here, and /proc shows them."""
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _check(_libc.mount(b"proc", b"/proc", b"proc", flags, None), "mounting /proc")


def adopt_orphans() -> None:
    """Descendants whose parent died become children of this process."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "adopting orphans")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
