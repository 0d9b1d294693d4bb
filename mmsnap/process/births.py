"""Telling whether a held program is in the middle of making a process.

The parent of a vfork(2) can not be stopped by a debugger until its child has run something else or
ended, and that child stands still too: CRIU would wait for ten seconds and fail.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CLONE_VFORK: Final = 0x4000
# Numbers of system calls by architecture: those that always wait, and clone(2), which says so in
# its first argument. clone3(2) says it in memory; that it is under way is enough.
_WAITING: Final = {"x86_64": {58, 435}, "aarch64": {435}}
_CLONE: Final = {"x86_64": 56, "aarch64": 220}


def makes_a_process(pids: Iterable[int]) -> bool:
    """Whether a thread of these held processes waits for a child of its vfork."""
    return any(
        _waits_for_child(thread) for pid in pids for thread in Path(f"/proc/{pid}/task").glob("*")
    )


def _waits_for_child(thread: Path) -> bool:
    try:
        words = (thread / "syscall").read_text().split()
    except OSError:
        return False
    if not words or not words[0].lstrip("-").isdecimal():
        return False
    number, machine = int(words[0]), platform.machine()
    if number == _CLONE.get(machine):
        return bool(int(words[1], 16) & _CLONE_VFORK)
    return number in _WAITING.get(machine, set())
