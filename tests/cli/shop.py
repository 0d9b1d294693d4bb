"""A real group of two members, each started as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import MMSNAP

MEMBER = Path(__file__).with_name("counting_member.py")


class Group:
    """The group `shop` of the members `a` and `b`, each started by `mmsnap run`."""

    def __init__(self, address: str, environment: dict[str, str]) -> None:
        self._address = address
        self._environment = environment
        self.runs = {name: self.start(name) for name in ("a", "b")}
        for run in self.runs.values():
            counted(run)

    def start(self, member: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MMSNAP, "run", "--group", "shop", "--member", member, "--", sys.executable, MEMBER],
            env=self._environment | {"MMSNAP_ADDRESS": self._address},
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> list[int]:
        """Ends all members; returns their exit codes."""
        for run in self.runs.values():
            run.terminate()
        return [run.wait(timeout=20) for run in self.runs.values()]


def counted(run: subprocess.Popen[str]) -> int:
    """What a member says that its memory shows."""
    assert run.stdout is not None
    line = run.stdout.readline()
    assert line.startswith("at "), line
    return int(line.split()[1])
