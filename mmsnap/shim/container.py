"""A container's first process, mmsnap-init, seen from the shim that stands outside.

It runs without rights inside the container and is told in words (native/init/line.h); what takes
rights is done here: the program is put into its freezer before its first step, and commands come
in by mmsnap-enter, as one of the container's cgroups.
"""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError
from mmsnap.process.first import Exited, Started
from mmsnap.process.freezer import Freezer
from mmsnap.process.numbers import number_inside

_MESSAGE_MAX_BYTES: Final = 256
_OUTPUTS: Final = 2
# RESERVED_PIDS of the kernel is one more: when numbers begin anew, they do so there.
_LAST_LOW_NUMBER: Final = 299


@dataclass(frozen=True, slots=True)
class Greeting:
    """What mmsnap-init says first.

    Attributes:
        member: by which name it goes.
        program: the number of the program inside the container; 0: none runs.
        outputs: descriptors of the pipes that are the program's standard output and error.
    """

    member: str
    program: int
    outputs: tuple[int, int]


def hear_greeting(line: socket.socket) -> Greeting:
    """Waits for it; MmsnapError when it says something else."""
    words, control, _, _ = line.recvmsg(
        _MESSAGE_MAX_BYTES, socket.CMSG_SPACE(_OUTPUTS * array.array("i").itemsize)
    )
    descriptors = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    match words.decode(errors="replace").split():
        case ["hello", member, program] if program.isdecimal() and len(descriptors) == _OUTPUTS:
            return Greeting(member, int(program), (descriptors[0], descriptors[1]))
    for descriptor in descriptors:
        os.close(descriptor)
    raise MmsnapError(f"{words[:80]!r} is no greeting of mmsnap-init")


class ContainerInit:
    """A `First` of a container."""

    def __init__(self, line: socket.socket, pid: int, freezer: Freezer, enter: Path) -> None:
        """Make it; nothing is said yet.

        Args:
            pid: its number here.
            enter: mmsnap-enter.
        """
        self._line = line
        self._pid = pid
        self._freezer = freezer
        self._enter = enter
        self._cgroups = _procs_of(pid)
        self._failed = False

    @property
    def pid(self) -> int:
        return self._pid

    def fileno(self) -> int:
        return self._line.fileno()

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
        """It has them already: they are those of its container.

        Low numbers are left to what is there before the program, in every container anew: threads
        of mmsnap-init and of the runtime. Where the kernel lets nobody choose, it is as it comes.
        """
        with contextlib.suppress(OSError):
            self.number_next(_LAST_LOW_NUMBER)
        self._say("start")

    def signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._number_here(pid), number)

    def hear(self) -> Started | Exited | None:
        try:
            words = self._line.recv(_MESSAGE_MAX_BYTES).decode(errors="replace").split()
        except OSError:
            return None
        match words:
            case ["started", pid] if pid.isdecimal():
                return self._let_through(int(pid))
            case ["exited", pid, status] if pid.isdecimal() and status.isdecimal():
                return Exited(int(pid), int(status))
        return None

    def _let_through(self, pid: int) -> Started | Exited:
        try:
            self._freezer.procs.write_text(str(self._number_here(pid)))
        except ProcessLookupError:  # taken back: a restore began before it was heard of
            return Exited(pid, signal.SIGKILL)
        self._say("go")
        return Started(pid)

    def number_next(self, last_pid: int) -> None:
        command = [str(self._enter), str(self._pid), "--last-pid", str(last_pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip() or f"{self._enter} ended with {done.returncode}")

    def within(self, command: Sequence[str], freezer_procs: Path | None = None) -> list[str]:
        procs = [] if freezer_procs is None else [*self._cgroups, freezer_procs]
        joined = [word for file in procs for word in ("--procs", str(file))]
        return [str(self._enter), str(self._pid), *joined, "--", *command]

    def replacing(self) -> None:
        self._say("hold")

    def replaced(self, root_pid: int) -> None:
        self._say(f"program {root_pid}")

    def fail(self) -> None:
        """There is to be no program any more, and none will come: the container ends at the end."""
        self._failed = True

    def end(self) -> None:
        if self._failed:
            self._say("fail")
        self._line.close()

    def _say(self, words: str) -> None:
        with contextlib.suppress(OSError):  # its end is heard where its news are
            self._line.send(words.encode())

    def _number_here(self, pid: int) -> int:
        """A child of it by its number inside; ProcessLookupError."""
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        for child in map(int, children):
            if number_inside(child) == pid:
                return child
        raise ProcessLookupError(f"mmsnap-init has no child {pid}")


def _procs_of(pid: int) -> list[Path]:
    """cgroup.procs of the cgroups that a process is in, besides version 2 and the freezer's.

    With version 2 the program's freezer stands inside of the container's cgroup, and is enough.
    """
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    where = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split()[:3]
        root, mount = fields.split()[3:5]
        if kind != "cgroup":
            continue
        for controllers, path in where.items():
            named = set(controllers.split(",")) <= set(options.split(","))
            if controllers and named and controllers != "freezer":
                inner = path.removeprefix(root) if root != "/" else path
                found.append(Path(mount) / inner.lstrip("/") / "cgroup.procs")
    return [file for file in dict.fromkeys(found) if file.exists()]
