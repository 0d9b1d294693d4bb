"""A member for the tests, as a process: writes stamps, outside and inside its region.

In every update it takes the machine's monotonic time and writes it to all cells of its
array; before that, it notes it in a log that no checkpoint touches. So a cut of several
workers is one instant if no stamp that one of them kept is later than the first that
another one lost. It is told what to do over a pipe.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from mmsnap_sdk.attaching import attach

CELLS = 40_000
LOG_SIZE = 2_000_000


class Worker:
    def __init__(self, options: dict[str, Any]) -> None:
        self.log = np.memmap(options["log"], np.int64, "w+", shape=(LOG_SIZE,))
        self.rolled_back: list[str | None] = []
        self.paused = threading.Event()
        self.app = attach(
            options["group"],
            options["member"],
            size="64MiB",
            address=options["address"],
            on_loss=options["on_loss"],
        )
        if options["hooks"]:
            self.app.before_checkpoint(lambda: None)
        self.app.after_restore(lambda to: self.rolled_back.append(to and to.name))
        self.cells = self.app.array("cells", (CELLS,), np.int64)
        self.count = 0
        self.nap = 0.0

    def write(self) -> None:
        while True:
            with self.app.update():
                stamp = time.monotonic_ns()
                self.log[self.count] = stamp
                self.count += 1
                self.cells[:] = stamp
                nap, self.nap = self.nap, 0.0
                time.sleep(nap)
            time.sleep(0.0002)
            while self.paused.is_set():
                time.sleep(0.001)

    def answer(self, words: list[str]) -> Any:
        match words:
            case ["show"]:
                return {
                    "restored": self.app.restored and self.app.restored.name,
                    "rolled_back": self.rolled_back,
                    "cells": sorted({int(c) for c in np.unique(self.cells)}),
                    "count": self.count,
                }
            case ["nap", seconds]:
                self.nap = float(seconds)
            case ["pause"]:
                self.paused.set()
            case ["escape"]:
                with suppress(LookupError), self.app.update():
                    raise LookupError
            case ["break-hook"]:
                self.app.before_checkpoint(_broken)
            case ["checkpoint", name]:
                return self.app.checkpoint(name).epoch
            case ["restore", name]:
                return self.app.restore(name).name
            case ["close"]:
                self.app.close()
        return None


def _broken() -> None:
    raise RuntimeError("the database is away")


def work(options: dict[str, Any], pipe: Connection) -> None:
    """The process: attach, write, and do as the pipe says."""
    os.dup2(os.open(options["errors"], os.O_WRONLY | os.O_APPEND), 2)
    worker = Worker(options)
    pipe.send("ready")
    threading.Thread(target=worker.write, daemon=True).start()
    while True:
        words = pipe.recv().split()
        pipe.send(worker.answer(words))
        if words == ["close"]:
            return


def serve(pool: str, address: str, errors: str, fault: str) -> None:
    """A process that is a node service, with one of `FAULTS` or none."""
    import asyncio
    from pathlib import Path

    from mmsnap.node.agent import Agent, run
    from mmsnap.node.logs import log_to_stderr
    from tests.node.faults import FAULTS

    FAULTS[fault]()

    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
    log_to_stderr(as_json=False)
    asyncio.run(run(Agent(Path(pool), address)))
