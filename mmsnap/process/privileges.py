"""What root may not do everywhere: look at the limits of other users' processes.

CRIU reads and sets resource limits of what it dumps. For processes of another user that takes
CAP_SYS_RESOURCE, which root does not have in some containers and virtual machines. (A real user id
that is theirs would do for the kernel, but libnftables, which CRIU loads, then ends the process.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CAP_SYS_RESOURCE: Final = 24


def can_reach_other_users() -> bool:
    """Whether this process has CAP_SYS_RESOURCE."""
    told = Path("/proc/self/status").read_text()
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", told, re.MULTILINE)
    return bool(found and int(found[1], 16) >> _CAP_SYS_RESOURCE & 1)


def out_of_reach(pids: Iterable[int]) -> list[str]:
    """Why some of these processes can not be dumped; empty: they can."""
    if can_reach_other_users():
        return []
    users = {pid: _user_of(pid) for pid in pids}
    return [
        f"process {pid} is of user {user}, and root has no CAP_SYS_RESOURCE here"
        for pid, user in users.items()
        if user
    ]


def _user_of(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^Uid:\s*(\d+)", told, re.MULTILINE)
    return int(found[1]) if found else 0
