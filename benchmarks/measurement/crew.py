"""Processes that hold one contender each and do what they are told, one after the other.

A contender has a process of its own because fork() copies the page tables of all that its process
maps: beside a second gigabyte it would be measured at twice its price. All processes live through
the whole run, so that they take turns on the same machine in the same state.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_SPAWN = multiprocessing.get_context("spawn")


class Worker:
    """A process with one object in it, made by `factory(*arguments)`."""

    def __init__(self, factory: Callable[..., Any], *arguments: Any) -> None:
        self._line, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(theirs, factory, arguments), daemon=True
        )
        self._process.start()
        theirs.close()
        self._receive()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the object over there and waits for its result."""
        self.begin(method, *arguments)
        return self._receive()

    def begin(self, method: str, *arguments: Any) -> None:
        """Calls a method without waiting; `finish` gives the result."""
        self._line.send((method, arguments))

    def finish(self) -> Any:
        """The result of what `begin` called."""
        return self._receive()

    def kill(self) -> None:
        """SIGKILL, and waits until the process is gone."""
        self._process.kill()
        self._process.join()
        self._line.close()

    def _receive(self) -> Any:
        try:
            failure, result = self._line.recv()
        except EOFError:
            raise RuntimeError("a process of the benchmark died") from None
        if failure:
            raise RuntimeError(f"in a process of the benchmark:\n{failure}")
        return result


@contextmanager
def worker(factory: Callable[..., Any], *arguments: Any) -> Iterator[Worker]:
    """A worker that is killed at the end of the block."""
    made = Worker(factory, *arguments)
    try:
        yield made
    finally:
        made.kill()


def prepare_environment() -> None:
    """Keeps NumPy from starting threads of its own, which fork() would have to stop and start."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def _serve(line: Connection, factory: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        served = factory(*arguments)
        line.send((None, None))
        while True:
            method, values = line.recv()
            line.send((None, getattr(served, method)(*values)))
    except EOFError:
        return
    except BaseException:
        line.send((traceback.format_exc(), None))
