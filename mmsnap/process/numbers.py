"""The number that a process has where it lives: each namespace of processes counts for itself."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Set
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError

_GOING_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 0.005
_PROC: Final = Path("/proc")
# As a process, a thread, a group of processes or a session: each keeps a number from all others.
_KEPT: Final = ("NSpid:", "NSpgid:", "NSsid:")


def number_inside(pid: int) -> int:
    """Of a process of this namespace, its number in the innermost one it is in; 0: it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def numbers_in_use(pid: int) -> dict[int, str]:
    """What is taken in the namespace that this process lives in, each with who has it."""
    there = os.readlink(_PROC / str(pid) / "ns/pid")
    taken: dict[int, str] = {}
    for process in _PROC.iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if os.readlink(process / "ns/pid") == there:
                    _note(process, taken)
    return taken


def await_free(wanted: Set[int], pid: int) -> None:
    """Returns when these numbers are free where this process lives: who has one may just be going.

    MmsnapError says who stays.
    """
    deadline = time.monotonic() + _GOING_SECONDS
    while True:
        taken = numbers_in_use(pid)
        held = sorted(wanted & taken.keys())
        if not held:
            return
        if time.monotonic() > deadline:
            raise MmsnapError(
                f"process id {held[0]} is in use by {taken[held[0]]}",
                hint="something else was started beside the program: end it, and try again",
            )
        time.sleep(_STEP_SECONDS)


def _note(process: Path, taken: dict[int, str]) -> None:
    name = f"process {process.name} ({(process / 'comm').read_text().strip()})"
    for thread in (process / "task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if line.startswith(_KEPT):
                taken.setdefault(int(line.split()[-1]), name)
    taken.pop(0, None)  # its session is of another namespace
