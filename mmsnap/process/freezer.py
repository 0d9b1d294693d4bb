"""Holding all processes of a program at once: the cgroup freezer, in both versions.

Version 2 is taken where it is mounted (a killed process dies there although it is frozen), else
version 1. The folders are ours alone, under `mmsnap` in the hierarchy; the shim is in neither.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Final

from mmsnap.errors import QuiesceTimeoutError, UnsupportedError

_FOLDER: Final = "mmsnap"
_STEP_SECONDS: Final = 0.0002
_BURIAL_SECONDS: Final = 1.0


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Freezer(ABC):
    """A cgroup for one program. `procs` inside `path` takes a process in.

    Inside of a container's cgroup it goes when the container does: then it is empty, and nothing in
    it is held.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    @property
    def procs(self) -> Path:
        """Writing "0" there brings the writer in."""
        return self.path / "cgroup.procs"

    def pids(self) -> list[int]:
        """Its processes, as numbered where this process is."""
        try:
            return [int(pid) for pid in self.procs.read_text().split()]
        except FileNotFoundError:
            return []

    def freeze(self, timeout_seconds: float) -> None:
        """Holds everything; QuiesceTimeoutError when a process does not come to rest."""
        deadline = time.monotonic() + timeout_seconds
        self._order(frozen=True)
        while not self._is_frozen():
            if time.monotonic() > deadline:
                self.thaw()
                raise QuiesceTimeoutError(
                    f"a process did not come to rest within {timeout_seconds:g} s",
                    subject=str(self.path),
                    hint="it waits for a device or a network file system; try again",
                )
            time.sleep(_STEP_SECONDS)

    def thaw(self) -> None:
        """Lets everything run; nothing happens if it does."""
        with suppress(FileNotFoundError):
            self._order(frozen=False)

    def kill(self) -> None:
        """SIGKILL to all, frozen or not; they are gone when `pids()` is empty."""
        _kill(self.pids())
        self.thaw()

    def wait_empty(self, timeout_seconds: float) -> None:
        """Returns when the last process is gone; TimeoutError.

        After `kill`: whom one forked that was not dead yet is killed, too.
        """
        deadline = time.monotonic() + timeout_seconds
        while pids := self.pids():
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes {pids} do not end")
            _kill(pids)
            time.sleep(_STEP_SECONDS)

    def remove(self) -> None:
        """Gives the cgroup back: what is dead and not buried is in it for a moment more."""
        deadline = time.monotonic() + _BURIAL_SECONDS
        while True:
            try:
                self.path.rmdir()
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    return
            time.sleep(_STEP_SECONDS)

    @abstractmethod
    def _order(self, *, frozen: bool) -> None: ...

    @abstractmethod
    def _is_frozen(self) -> bool: ...


class FreezerV2(Freezer):
    """cgroup v2: `cgroup.freeze`."""

    def _order(self, *, frozen: bool) -> None:
        (self.path / "cgroup.freeze").write_text("1" if frozen else "0")

    def _is_frozen(self) -> bool:
        return "frozen 1" in (self.path / "cgroup.events").read_text()


class FreezerV1(Freezer):
    """cgroup v1: the controller `freezer`."""

    def _order(self, *, frozen: bool) -> None:
        (self.path / "freezer.state").write_text("FROZEN" if frozen else "THAWED")

    def _is_frozen(self) -> bool:
        state = (self.path / "freezer.state").read_text().strip()
        if state == "FREEZING":
            self._order(frozen=True)  # the kernel looks at latecomers only when asked again
        return state == "FROZEN"


def make_freezer(name: str) -> Freezer:
    """The freezer of a program: of version 2 where it is.

    Raises:
        UnsupportedError: no freezer is mounted, or it may not be used here.
    """
    mounts = _mounts()
    for candidate, kind in ((2, FreezerV2), (1, FreezerV1)):
        if candidate in mounts:
            try:
                return kind(mounts[candidate] / _FOLDER / name)
            except OSError as error:
                raise UnsupportedError(
                    f"no cgroup can be made in {mounts[candidate]}: {error.strerror}",
                    subject=str(mounts[candidate]),
                    hint="unmodified programs are held by the cgroup freezer, which needs root",
                ) from error
    raise UnsupportedError(
        "no cgroup freezer is mounted", hint="mount cgroup2, or the freezer of cgroup v1"
    )


def make_freezer_in_container(pid: int, name: str) -> Freezer:
    """The freezer of a program that lives in the container of this process.

    With version 2 it stands inside the container's own cgroup, whose limits go on to count; with
    version 1 the freezer's hierarchy has nothing else to say.
    """
    mounts = _mounts()
    if 2 not in mounts:
        return make_freezer(name)
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    (path,) = (line.removeprefix("0::") for line in lines if line.startswith("0::"))
    inside = mounts[2] / path.removesuffix(f"/{_FOLDER}").lstrip("/")
    return FreezerV2(inside / _FOLDER)


def mounted_versions() -> list[int]:
    """The cgroup versions whose freezer is mounted here."""
    return sorted(_mounts())


def _mounts() -> dict[int, Path]:
    """Where the freezers are mounted, by version."""
    found: dict[int, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split()[:3]
        mount = Path(fields.split()[4])
        if kind == "cgroup2":
            found.setdefault(2, mount)
        elif kind == "cgroup" and "freezer" in options.split(","):
            found.setdefault(1, mount)
    return found
