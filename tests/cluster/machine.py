"""A machine that is none: namespaces and a control group of its own, and a power switch.

It knows nothing of Kubernetes. What ends its processes ends all of it, as a loss of power would:
the namespaces and mounts go with the last of them, and only its disk, a folder, stays.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.cluster.cgroups import Group, hierarchies

_BIRTH: Final = Path(__file__).with_name("birth.sh")
_BIRTH_SECONDS: Final = 20.0
_END_SECONDS: Final = 20.0
_NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")


class Machine:
    """`work` is the cluster's folder; the machine's disk is a folder in it."""

    def __init__(self, cluster: str, name: str, work: Path) -> None:
        self.name = name
        self.folder = work / name
        self.logs = self.folder / "disk/var/log"
        self._work = work
        self._group = Group(cluster, name)
        self._system = Group(cluster, name, "system")

    def power_on(self, pause: Path) -> None:
        """Returns when the machine can be entered.

        Raises:
            RuntimeError: it did not come up; the message says why.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._group.make()
        birth = ["unshare", *_NAMESPACES, "--fork", "sh", str(_BIRTH)]
        words = [*birth, self.name, str(self._work), str(pause)]
        table = "".join(f"{' '.join(each)}\n" for each in hierarchies())
        told = self.folder / "birth.log"
        with told.open("wb") as log:
            # Nobody's child, so that it outlives the tool.
            enter = f'{self._group.entering()} exec "$@"'
            subprocess.run(
                ["setsid", "--fork", "sh", "-c", enter, "sh", *words],
                input=table.encode(),
                stdout=log,
                stderr=log,
                check=True,
            )
        deadline = time.monotonic() + _BIRTH_SECONDS
        while not self._is_born():
            if time.monotonic() > deadline or (told.stat().st_size and not self.is_on()):
                raise RuntimeError(f"{self.name} did not come up: {told.read_text().strip()}")
            time.sleep(0.02)

    def power_off(self) -> None:
        """Everything on it is killed at once; its disk stays."""
        self._group.end()

    def is_on(self) -> bool:
        return self._outer_pid(1) is not None

    @property
    def init_pid(self) -> int:
        """Of its first process, as this machine counts."""
        pid = self._outer_pid(1)
        if pid is None:
            raise RuntimeError(f"{self.name} is off")
        return pid

    @property
    def root(self) -> Path:
        """Its file system as seen from here."""
        return Path(f"/proc/{self.init_pid}/root")

    def inside(self, words: Sequence[str]) -> list[str]:
        """The command that runs these words there, among its processes."""
        target = ["nsenter", "--target", str(self.init_pid), *_NAMESPACES]
        enter = f'{self._system.entering()} exec "$@"'
        return ["sh", "-c", enter, "sh", *target, *words]

    def start(self, name: str, words: Sequence[str], env: Mapping[str, str]) -> None:
        """Starts a program there that stays, its output in a log of that name."""
        script = 'name=$1; shift; "$@" >> /var/log/$name.log 2>&1 & echo $! > /run/$name.pid'
        subprocess.run(
            self.inside(["setsid", "sh", "-c", script, "sh", name, *words]),
            env=env,
            stdin=subprocess.DEVNULL,
            check=True,
        )

    def pid_of(self, name: str) -> int | None:
        """The process that `start` began, as this machine counts; none when it is not running."""
        try:
            return self._outer_pid(int((self.root / f"run/{name}.pid").read_text()))
        except (OSError, RuntimeError):
            return None

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> None:
        """Ends what `start` began, and only that process; returns when all its threads are gone.

        Until then it has its ports, though it may be in no list of processes any more.
        """
        pid = self.pid_of(name)
        if pid is None:
            return
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal_number)
            if not select.select([process], [], [], _END_SECONDS)[0]:
                raise TimeoutError(f"{name} on {self.name} does not end")
        finally:
            os.close(process)

    def _is_born(self) -> bool:
        try:
            return (self.root / "run/born").exists()
        except (OSError, RuntimeError):
            return False

    def _outer_pid(self, inner: int) -> int | None:
        for pid in self._group.processes():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            fields = dict(line.split(":", 1) for line in status.splitlines())
            numbers = fields["NSpid"].split()
            if "Z" not in fields["State"] and len(numbers) == 2 and int(numbers[1]) == inner:
                return pid
        return None
