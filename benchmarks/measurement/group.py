"""Unmodified programs under mmsnap, driven as a user does: by its commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_MMSNAP: Final = Path(sys.executable).with_name("mmsnap")
_START_SECONDS: Final = 60.0


class Group:
    """Programs as members of the group `g` of a service; ended by `end`."""

    def __init__(
        self, folder: Path, members: Mapping[str, Sequence[str]], options: Sequence[str] = ()
    ) -> None:
        self._environment = os.environ | {"MMSNAP_ADDRESS": f"unix://{folder}/agent.sock"}
        self._log = folder / "agent.log"
        (folder / "pool").mkdir()
        self._processes = [self._spawn("agent", "--pool", str(folder / "pool"))]
        await_true(lambda: self._type("ps").returncode == 0, "the service")
        for member, command in members.items():
            words = ("run", "--engine", "process", "--group", "g", "--member", member)
            self._processes.append(self._spawn(*words, *options, "--", *command))
        await_true(
            lambda: self._type("ps", "g").stdout.count("attached") == len(members), "members"
        )

    def checkpoint(self, name: str) -> dict[str, Any]:
        self._must("checkpoint", "create", "g", "--name", name)
        told: dict[str, Any] = json.loads(
            self._must("checkpoint", "show", "g", name, "-o", "json").stdout
        )
        return told

    def delete(self, name: str) -> None:
        self._must("checkpoint", "delete", "g", name, "--yes")

    def restore(self, name: str) -> int:
        """How long the members were held, as the service saw it."""
        self._must("restore", "g", name)
        last = [line for line in self._log.read_text().splitlines() if "restore @" in line][-1]
        return round(float(last.rpartition("held ")[2].split()[0]) * 1e6)

    def end(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)

    def _must(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = self._type(*words)
        if done.returncode:
            raise SystemExit(f"mmsnap {' '.join(words)}: {done.stderr}")
        return done

    def _type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_MMSNAP, *words], env=self._environment, capture_output=True, text=True, check=False
        )

    def _spawn(self, *words: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [_MMSNAP, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def await_true(condition: Callable[[], bool], what: str) -> None:
    """Returns when the condition holds; SystemExit when that takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.2)
