"""Holding a program still: frozen, its connections silent, until it is let go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from mmsnap.errors import QuiesceTimeoutError
from mmsnap.process.births import makes_a_process
from mmsnap.process.connections import LISTENING, Connection, Socket, open_sockets
from mmsnap.process.freezer import Freezer
from mmsnap.process.network_lock import NetworkLock

_STEP_SECONDS: Final = 0.002


class Hold:
    """Taken and let go any number of times; letting go of what is not held does nothing."""

    def __init__(self, freezer: Freezer, lock: NetworkLock) -> None:
        self._freezer = freezer
        self._lock = lock
        self.held = False
        self.since_ns = 0  # monotonic, when the freeze began
        self.sockets: list[Socket] = []

    @property
    def connections(self) -> set[Connection]:
        """What was connected when it was taken."""
        return {
            s.connection for s in self.sockets if s.state != LISTENING and s.connection.remote.port
        }

    def take(self, timeout_seconds: float) -> None:
        """Freezes, then locks the connections there are then. QuiesceTimeoutError: not held."""
        deadline = time.monotonic() + timeout_seconds
        self.since_ns = time.monotonic_ns()
        self._freezer.freeze(timeout_seconds)
        while makes_a_process(self._freezer.pids()):
            self._freezer.thaw()
            if time.monotonic() > deadline:
                raise QuiesceTimeoutError(
                    f"it was in the middle of making a process for {timeout_seconds:g} s",
                    hint="try again",
                )
            time.sleep(_STEP_SECONDS)
            self.since_ns = time.monotonic_ns()
            self._freezer.freeze(timeout_seconds)
        self.held = True
        try:
            self.sockets = open_sockets(self._freezer.pids())
            self._lock.hold(self.connections)
        except BaseException:
            self.let_go()
            raise

    def silence_only(self, connections: Iterable[Connection]) -> None:
        """Keeps these silent until it is let go, and no others any more."""
        self._lock.hold(connections)

    def let_go(self) -> None:
        """Runs on. First the processes: a packet that finds nobody is sent again, a pause lasts."""
        if self.held:
            self._freezer.thaw()
            self.held = False
        self._lock.release()
