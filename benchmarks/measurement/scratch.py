"""A folder in memory for one run, gone afterwards, also after Ctrl-C or SIGTERM.

/dev/shm is the machine's memory: what a run leaves there is lost to everybody.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsnap.quantities import format_size

MEMORY_FOLDER = Path("/dev/shm")


@contextmanager
def scratch_folder(needed_bytes: int) -> Iterator[Path]:
    """A fresh folder on tmpfs; exits with a message when `needed_bytes` are not free there."""
    free_bytes = min(shutil.disk_usage(MEMORY_FOLDER).free, _available_bytes())
    if free_bytes < needed_bytes:
        sys.exit(
            f"this takes {format_size(needed_bytes)} of memory, of which "
            f"{format_size(free_bytes)} are free; choose a smaller --size"
        )
    # SIGTERM unwinds like Ctrl-C does, so that the folder goes in both cases.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="mmsnap-bench-", dir=MEMORY_FOLDER) as folder:
            yield Path(folder)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _available_bytes() -> int:
    """What the kernel can give, also of what it only caches."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    (available,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(available) * 1024
