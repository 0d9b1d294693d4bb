"""Bind mounts of a node, made and undone; Python has no call for them.

Whoever mounts here wants it seen by the kubelet: the folders have to be shared with the host
(`mountPropagation: Bidirectional`), which is the manifest's business.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)

_MS_BIND: Final = 4096
_MNT_DETACH: Final = 2
_MOUNTS: Final = Path("/proc/self/mountinfo")
_MOUNT_POINT_FIELD: Final = 4


def bind(source: Path, target: Path) -> None:
    """Shows the folder `source` at `target` as well; OSError."""
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, _MS_BIND, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def unmount(target: Path) -> None:
    """Takes everything mounted at `target` and below away, the deepest first; OSError.

    What is in use goes from sight at once and for good when nobody uses it any more.
    """
    for point in sorted(mounted_under(target), key=lambda point: -len(point.parts)):
        if _libc.umount2(os.fsencode(point), _MNT_DETACH) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(point))


def mounted_under(folder: Path) -> list[Path]:
    """Where something is mounted, at the folder or below; a place appears as often as it is hid."""
    points = (
        Path(_unescaped(line.split()[_MOUNT_POINT_FIELD]))
        for line in _MOUNTS.read_text().splitlines()
    )
    return [point for point in points if point == folder or folder in point.parents]


def _unescaped(text: str) -> str:
    """The kernel writes blanks, tabs, newlines and backslashes as \\ooo."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
