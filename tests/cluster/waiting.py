"""Waits for what is to come, and no longer than is said."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def eventually(check: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Returns when `check` says yes; what goes wrong in it counts as no, until the time is over.

    Raises:
        TimeoutError: it never did; the cause is what went wrong last.
    """
    deadline, cause = time.monotonic() + seconds, None
    while True:
        try:
            if check():
                return
        except (OSError, subprocess.SubprocessError, LookupError, ValueError) as error:
            cause = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s") from cause
        time.sleep(0.2)
