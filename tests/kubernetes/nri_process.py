"""The NRI plugin in a process of its own, to be killed: what runs there, and a test's hold on it.

Each line that the process prints is a list in JSON: a state with its reason, or what was missed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

from mmsnap.pods.nri import NriPlugin


class Plugin:
    """A plugin in a process, and what it tells."""

    def __init__(self, socket: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.kubernetes.nri_process", str(socket)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told: dict[str, Queue[list[object]]] = {"state": Queue(), "missed": Queue()}
        Thread(target=self._read, daemon=True).start()

    def next(self, kind: str) -> list[object]:
        """The next line of that kind."""
        return self._told[kind].get(timeout=30)

    def await_state(self, connected: bool) -> str:
        """The reason that is told with it."""
        while (state := self.next("state"))[0] != connected:
            pass
        return str(state[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            kind, *told = json.loads(line)
            self._told[kind].put(told)


@contextmanager
def plugin_at(socket: Path) -> Iterator[Plugin]:
    plugin = Plugin(socket)
    try:
        assert plugin.await_state(True) == "containerd v2.2.1 asks about new containers"
        yield plugin
    finally:
        plugin.kill()


def _tell(*words: object) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    asyncio.run(
        NriPlugin(
            Path(sys.argv[1]),
            on_state=lambda connected, reason: _tell("state", connected, reason),
            on_missed=lambda pod, container: _tell("missed", pod.name, container.name),
        ).run()
    )
