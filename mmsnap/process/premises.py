"""Going where a container's processes live, with what this machine has and the container has not.

Files, connections and addresses of a program are then what its own paths and calls say. In a copy
of the container's mounts, which it does not see, /proc and the cgroups are this machine's, and the
node's pool lies over the part of it that the container has. (open_tree and move_mount carry mounts
from one namespace into another; Python has no call for them.)
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)

_NEW_MOUNT: Final = 0x00020000
_NEW_NET: Final = 0x40000000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 1 << 18
_SYS_OPEN_TREE: Final = 428
_SYS_MOVE_MOUNT: Final = 429
_HERE: Final = -100  # AT_FDCWD
_RECURSIVE: Final = 0x8000  # AT_RECURSIVE
_CLONE: Final = 1  # OPEN_TREE_CLONE
_FROM_DESCRIPTOR: Final = 4  # MOVE_MOUNT_F_EMPTY_PATH


def enter_container(first_pid: int, brought: Mapping[Path, Path]) -> None:
    """Lets this process live there. To be called before any thread is started; OSError.

    Args:
        first_pid: the container's first process.
        brought: folders of this machine, and where they are to be seen; the places exist.
    """
    with ExitStack() as opened:
        carried = {_opened(opened, source): target for source, target in brought.items()}
        namespaces = [
            (_file(opened, f"/proc/{first_pid}/ns/{name}"), kind)
            for name, kind in (("net", _NEW_NET), ("mnt", _NEW_MOUNT))
        ]
        for descriptor, kind in namespaces:
            _check(_libc.setns(descriptor, kind), "entering a namespace")
        _check(_libc.unshare(_NEW_MOUNT), "mounts of its own")
        _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")
        for descriptor, target in carried.items():
            moved = _libc.syscall(
                _SYS_MOVE_MOUNT, descriptor, b"", _HERE, os.fsencode(target), _FROM_DESCRIPTOR
            )
            _check(moved, f"mounting {target}")


def _opened(opened: ExitStack, folder: Path) -> int:
    flags = _CLONE | _RECURSIVE | os.O_CLOEXEC
    descriptor: int = _libc.syscall(_SYS_OPEN_TREE, _HERE, os.fsencode(folder), flags)
    _check(descriptor, f"taking {folder} along")
    opened.callback(os.close, descriptor)
    return descriptor


def _file(opened: ExitStack, path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return descriptor


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
