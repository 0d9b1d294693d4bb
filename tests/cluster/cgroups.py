"""The control groups of a cluster: how its processes are found again, and ended, whoever left them.

Every process of a node is born in the node's group and can not leave it, because the node sees that
group as the root (a cgroup namespace). So no list of process ids has to survive a crash of the
tool: what is in the group is the cluster's, and nothing else is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_TOP: Final = "mmsnap-cluster"
_V2: Final = (_ROOT / "cgroup.controllers").exists()
_END_SECONDS: Final = 20.0


def hierarchies() -> list[tuple[str, str, str]]:
    """Folder under /sys/fs/cgroup, file system type and mount options, for each one mounted."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        mount_point, (kind, _, options) = left.split()[4], right.split(" ", 2)
        if kind in ("cgroup", "cgroup2") and Path(mount_point).is_relative_to(_ROOT):
            name = str(Path(mount_point).relative_to(_ROOT))
            chosen = [word for word in options.split(",") if word not in ("rw", "ro")]
            if any(word.startswith("name=") for word in chosen):
                chosen.insert(0, "none")
            found.append((name, kind, ",".join(chosen) if kind == "cgroup" else ""))
    return found


class Group:
    """One group, at the same path in every hierarchy: a cluster's, or a node's within it."""

    def __init__(self, *names: str) -> None:
        self._path = Path(_TOP, *names)

    def make(self) -> None:
        for folder in self._folders():
            folder.mkdir(parents=True, exist_ok=True)
            _fill_cpusets(folder)
            if _V2:
                _pass_controllers_on(folder)

    def entering(self) -> str:
        """What a shell runs to go there by itself, before it becomes something else."""
        return "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in self._folders())

    def processes(self) -> set[int]:
        found: set[int] = set()
        for folder in self._all_folders():
            try:
                found.update(map(int, (folder / "cgroup.procs").read_text().split()))
            except OSError:  # gone meanwhile
                continue
        return found

    def end(self) -> None:
        """Kills everything in it, thawing what is frozen, and removes it.

        Raises:
            TimeoutError: something did not die.
        """
        deadline = time.monotonic() + _END_SECONDS
        while left := self.processes():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still there after SIGKILL: {_told(left)}")
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._thaw()
            time.sleep(0.05)
        self._remove(deadline)

    def exists(self) -> bool:
        return any(folder.exists() for folder in self._folders())

    def _thaw(self) -> None:
        for folder in self._all_folders():
            for file, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                try:
                    if (folder / file).exists():
                        (folder / file).write_text(word)
                except OSError:
                    continue

    def _remove(self, deadline: float) -> None:
        while left := self._all_folders():
            for folder in reversed(left):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    continue
                except OSError:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.02)

    def _folders(self) -> list[Path]:
        return [_ROOT / name / self._path for name, _, _ in hierarchies()]

    def _all_folders(self) -> list[Path]:
        """It and what is in it, the outer before the inner."""
        return [each for top in self._folders() for each in (top, *_inner(top)) if each.exists()]


def _inner(folder: Path) -> Iterator[Path]:
    for here, names, _ in os.walk(folder):
        for name in names:
            yield Path(here, name)


def _fill_cpusets(folder: Path) -> None:
    """In the first version a new group has no processor to run on, and its children neither."""
    top = _ROOT / folder.relative_to(_ROOT).parts[0]
    if not (folder / "cpuset.mems").exists() or _V2:
        return
    for part in (*reversed([each for each in folder.parents if each.is_relative_to(top)]), folder):
        for file in ("cpuset.cpus", "cpuset.mems"):
            if part != top and not (part / file).read_text().strip():
                (part / file).write_text((part.parent / file).read_text())
    (folder / "cgroup.clone_children").write_text("1")


def _pass_controllers_on(folder: Path) -> None:
    """In the second version a group has the controllers that its parent hands down."""
    for part in reversed([each for each in folder.parents if each.is_relative_to(_ROOT)]):
        offered = (part / "cgroup.controllers").read_text().split()
        words = " ".join(f"+{name}" for name in offered)
        (part / "cgroup.subtree_control").write_text(words)


def _told(pids: set[int]) -> str:
    told = []
    for pid in sorted(pids):
        try:
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        told.append(f"{pid} ({status[0].split()[-1]}, {status[2].split(None, 1)[-1]})")
    return ", ".join(told)
