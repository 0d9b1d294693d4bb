"""Which process of this machine a pod means: inside its container it has another number."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from mmsnap.process.numbers import number_inside

_PROC: Final = Path("/proc")


def process_in_pod(uid: str, member: str, pid: int) -> int:
    """The process of the pod that has the number `pid` in its innermost namespace.

    Every container counts its own. The member's name, in the environment that the container was
    given, tells two of the same number apart.

    Raises:
        PermissionError: there is no such process in the pod.
    """
    found = [each for each in _processes_of(uid) if number_inside(each) == pid]
    if len(found) > 1:
        found = [each for each in found if _is_given(each, member)] or found
    if not found:
        raise PermissionError(f"process {pid} is none of this pod's")
    return found[0]


def is_in_pod(pid: int, uid: str) -> bool:
    """Whether a process of this machine is one of the pod's."""
    # The two ways in which kubelets write a pod into the path of its cgroup.
    marks = f"pod{uid}", f"pod{uid.replace('-', '_')}"
    with suppress(OSError):
        text = (_PROC / str(pid) / "cgroup").read_text()
        return any(mark in text for mark in marks)
    return False


def _processes_of(uid: str) -> Iterator[int]:
    for entry in os.scandir(_PROC):
        if entry.name.isdecimal() and is_in_pod(int(entry.name), uid):
            yield int(entry.name)


def _is_given(pid: int, member: str) -> bool:
    with suppress(OSError):
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        return f"MMSNAP_MEMBER={member}".encode() in environment
    return False
