"""One service a pool: a lock file in the pool's folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mmsnap.errors import InUseError


class PoolLock:
    """Holds `agent.lock` of a pool; the kernel lets go of it when the process dies."""

    def __init__(self, pool: Path) -> None:
        self._file = open(pool / "agent.lock", "a+", encoding="ascii")  # noqa: SIM115
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            owner = self._file.read(20).strip()
            self._file.close()
            raise InUseError(
                f"the pool {pool} has a node service already",
                subject=str(pool),
                hint=f"stop process {owner or 'that holds agent.lock'}, or give another --pool",
                pid=int(owner) if owner.isdecimal() else None,
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()
