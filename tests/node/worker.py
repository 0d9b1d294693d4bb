"""A member for the tests, as a process: writes stamps, outside and inside its region.

In every update it takes the machine's monotonic time and writes it to all cells of its
array; before that, it notes it in a log that no checkpoint touches. So a cut of several
workers is one instant if no stamp that one of them kept is later than the first that
another one lost. Reads commands from stdin, one word a line, and answers in JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
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
                    "pid": os.getpid(),
                }
            case ["nap", seconds]:
                self.nap = float(seconds)
            case ["pause"]:
                self.paused.set()
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


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    worker = Worker(json.loads(sys.argv[1]))
    _say("ready")
    threading.Thread(target=worker.write, daemon=True).start()
    for line in sys.stdin:
        words = line.split()
        try:
            answer = worker.answer(words)
        except Exception as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        _say(answer)
        if words == ["close"]:
            return


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
