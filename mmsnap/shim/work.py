"""Work that takes long, done on a thread while the shim goes on listening; one at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Work:
    """Give it something to do; `finish` what is done when its descriptor is readable."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="work")
        self._done: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._wake

    def do(
        self,
        work: Callable[[], object],
        then: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Runs `work` on the thread, then `then` or `failed` where `finish` is called."""

        def run() -> None:
            try:
                work()
            except Exception as error:
                told = error
                self._done.append(lambda: failed(told))
            else:
                self._done.append(then)
            os.eventfd_write(self._wake, 1)

        self._executor.submit(run)

    def finish(self) -> None:
        """Calls what follows upon the work that is done."""
        os.eventfd_read(self._wake)
        while self._done:
            self._done.popleft()()

    def close(self) -> None:
        """Waits for what is under way; what follows upon it is not called."""
        self._executor.shutdown()
