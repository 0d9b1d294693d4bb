"""The program's standard output and error: pipes of ours, passed on to where the shim's own go.

The program never holds the terminal or a file of the user: both would be in the way of a restore,
and pipes whose other end is here are not.
"""

from __future__ import annotations

import os
import threading
from typing import Final

_CHUNK_BYTES: Final = 1 << 16
_DRAIN_SECONDS: Final = 5.0


class Outputs:
    """Two pipes; `writers` are the program's ends, which the shim keeps open too."""

    def __init__(self) -> None:
        pipes = [os.pipe(), os.pipe()]
        self.writers: tuple[int, int] = (pipes[0][1], pipes[1][1])
        self.inodes = tuple(os.fstat(writer).st_ino for writer in self.writers)
        self._readers = [reader for reader, _ in pipes]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Passes on from now on; not before the last fork."""
        for target, reader in enumerate(self._readers, 1):
            thread = threading.Thread(
                target=_pass_on, args=(reader, target), name=f"output {target}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def finish(self) -> None:
        """What the program left in the pipes still comes through."""
        for writer in self.writers:
            os.close(writer)
        for thread in self._threads:
            thread.join(_DRAIN_SECONDS)


def _pass_on(reader: int, target: int) -> None:
    lost = False
    while chunk := os.read(reader, _CHUNK_BYTES):
        while chunk and not lost:
            try:
                chunk = chunk[os.write(target, chunk) :]
            except OSError:
                # Nobody listens any more; the program must not stand still because of it.
                lost = True
