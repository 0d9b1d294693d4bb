"""A service and unmodified programs under it, for tests that need root. Ends what it started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmsnap.shim.naming import name_here

MMSNAP = Path(sys.executable).with_name("mmsnap")
_START_SECONDS = 30.0
_V2_MOUNTS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
_V1_MOUNT = "/sys/fs/cgroup/freezer"
_WITHOUT_V2 = 'umount -t cgroup2 -a; exec "$@"'


class Shim:
    """A `mmsnap run --engine process`, and what the program writes."""

    def __init__(
        self, process: subprocess.Popen[bytes], out: Path, err: Path, cgroup: Path
    ) -> None:
        self.process = process
        self.out = out
        self.err = err
        self._cgroup = cgroup

    @property
    def lines(self) -> list[str]:
        return self.out.read_text().splitlines()

    @property
    def words(self) -> str:
        return self.err.read_text()

    def pids(self) -> list[int]:
        """The program's processes."""
        procs = self._cgroup / "cgroup.procs"
        return [int(pid) for pid in procs.read_text().split()] if procs.exists() else []

    def kill_program(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def is_frozen(self) -> bool:
        events = self._cgroup / "cgroup.events"
        if events.exists():
            return "frozen 1" in events.read_text()
        state = self._cgroup / "freezer.state"
        return state.exists() and state.read_text().strip() != "THAWED"


class Site:
    """One pool with its service. `run` starts programs, `mmsnap` types commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = folder / "pool"
        self.pool.mkdir()
        self.address = f"unix://{folder}/agent.sock"
        self.environment = os.environ | {"MMSNAP_ADDRESS": self.address}
        self.shims: list[Shim] = []
        self.agent = self.start_agent()

    def start_agent(self) -> subprocess.Popen[bytes]:
        log = (self.folder / "agent.log").open("ab")
        self.agent = subprocess.Popen(
            [MMSNAP, "agent", "--pool", self.pool], env=self.environment, stdout=log, stderr=log
        )
        await_true(lambda: self.mmsnap("ps", check=False).returncode == 0, "the service answers")
        return self.agent

    def run(
        self,
        group: str,
        member: str,
        *command: str,
        options: tuple[str, ...] = (),
        host: str = "",
        freezer: int = 2,
    ) -> Shim:
        """Starts a program, and waits until it is a member.

        Args:
            host: the network namespace it is in.
            freezer: 1: where cgroup v2 is not mounted.
        """
        number = len(self.shims)
        out, err = self.folder / f"{number}.out", self.folder / f"{number}.err"
        inside = ["nsenter", f"--net={host}"] if host else []
        if freezer == 1:
            inside += ["unshare", "--mount", "sh", "-c", _WITHOUT_V2, "sh"]
        run = [*inside, MMSNAP, "run", "--engine", "process"]
        run += ["--group", group, "--member", member]
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*run, *options, "--", *command],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        shim = Shim(process, out, err, cgroup_of(self.address, group, member, freezer))
        self.shims.append(shim)
        await_true(
            lambda: process.poll() is not None or member in self.attached(group),
            f"{member} is attached: {shim.words}",
        )
        return shim

    def attached(self, group: str) -> set[str]:
        told = self.mmsnap("ps", group, "-o", "json", check=False)
        rows = json.loads(told.stdout) if told.returncode == 0 else []
        return {row["member"] for row in rows if row["state"] == "attached"}

    def mmsnap(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [MMSNAP, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr + (self.folder / "agent.log").read_text()
        return done

    def checkpoint(self, group: str, name: str) -> dict[str, Any]:
        self.mmsnap("checkpoint", "create", group, "--name", name)
        shown = self.mmsnap("checkpoint", "show", group, name, "-o", "json")
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    def manifest(self, group: str, member: str, epoch: int) -> dict[str, Any]:
        file = self.pool / "processes" / f"{group}.{member}" / str(epoch) / "manifest.json"
        found: dict[str, Any] = json.loads(file.read_text().splitlines()[0])
        return found

    def close(self) -> None:
        for shim in self.shims:
            if shim.process.poll() is None:
                shim.process.kill()
            shim.process.wait(20)
        if self.agent.poll() is None:
            self.agent.kill()
        self.agent.wait(20)


@contextmanager
def site() -> Iterator[Site]:
    """A site on a memory file system."""
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-process-", dir="/dev/shm"))
    made = Site(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def await_true(condition: Callable[[], Any], what: str, seconds: float = _START_SECONDS) -> None:
    """Returns when the condition holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def cgroup_of(address: str, group: str, member: str, freezer: int = 2) -> Path:
    """Where the freezer of a program is."""
    v2 = [mount for mount in _V2_MOUNTS if Path(mount, "cgroup.controllers").exists()]
    mounts = [*v2, _V1_MOUNT] if freezer == 2 else [_V1_MOUNT]
    return Path(mounts[0]) / "mmsnap" / name_here(group, member, address)
