"""What files a program holds: those it writes, those it runs, and those no dump can take.

Read from /proc of its processes, so it tells of now: before a freeze what is likely, in it what is.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mmsnap.process.manifest import FileState, state_of
from mmsnap.process.numbers import number_inside
from mmsnap.process.reserve import SHARED

_SHARED_MEMORY: Final = "/dev/shm/"
# Devices that are the same after a restore.
_PLAIN_DEVICES: Final = re.compile(
    r"/dev/(null|zero|full|random|urandom|tty|ptmx|pts/\d+|pts/ptmx|console|tty\d*)$"
)
_OBSTACLES: Final = (
    (re.compile(r"anon_inode:\[io_uring\]"), "it uses io_uring"),
    (re.compile(r"anon_inode:\[userfaultfd\]"), "it uses userfaultfd (is it an mmsnap program?)"),
    (re.compile(r"anon_inode:\[perf_event\]"), "it measures performance counters"),
    (re.compile(r"anon_inode:kvm-"), "it runs virtual machines"),
    (re.compile(r"/dev/(nvidia|kfd|dri/)"), "it uses a GPU"),
)


def obstacles(pids: Iterable[int]) -> list[str]:
    """Why these processes can not be dumped, in words of the user; empty: nothing is known."""
    found = []
    for pid in pids:
        for target in _targets(pid):
            known = next((words for pattern, words in _OBSTACLES if pattern.match(target)), None)
            if known:
                found.append(f"process {pid}: {known}")
            elif target.startswith("/dev/") and _is_device(target):
                found.append(f"process {pid}: it holds the device {target}")
    return sorted(set(found))


def written_files(pids: Iterable[int], captured: Iterable[str]) -> list[FileState]:
    """Regular files open for writing that lie under none of the `captured` folders."""
    folders = tuple(folder.rstrip("/") + "/" for folder in captured)
    paths = {
        target
        for pid in pids
        for target, writable in _open_regular(pid)
        if writable and not target.startswith((*folders, _SHARED_MEMORY))
    }
    return [state for state in map(state_of, sorted(paths)) if state is not None]


def shared_memory_files(pids: Iterable[int]) -> list[str]:
    """Files in /dev/shm that these processes have open or mapped: memory by another name."""
    paths = set()
    for pid in pids:
        paths |= {target for target, _ in _open_regular(pid) if target.startswith(_SHARED_MEMORY)}
        paths |= {path for path, _ in _mappings(pid) if path.startswith(_SHARED_MEMORY)}
    return sorted(path for path in paths if os.path.isfile(path))


def mapped_files(pids: Iterable[int]) -> list[FileState]:
    """Executables and libraries: files of which code is mapped."""
    paths = {path for pid in pids for path, executable in _mappings(pid) if executable}
    return [state for state in map(state_of, sorted(paths)) if state is not None]


def memory_of(pids: Iterable[int]) -> dict[str, int]:
    """About how many bytes of memory that no file has a dump takes, by process.

    Processes are named by their ids inside their namespaces; `SHARED` is what several share.
    """
    found = {SHARED: 0}
    for pid in pids:
        try:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", told, re.MULTILINE))
        if inside := number_inside(pid):
            found[str(inside)] = 1024 * int(fields.get("Anonymous", 0))
        found[SHARED] += 1024 * int(fields.get("Pss_Shmem", 0))
    return found


def _targets(pid: int) -> Iterator[str]:
    for fd in _listed(Path(f"/proc/{pid}/fd")):
        try:
            yield os.readlink(fd)
        except OSError:
            continue


def _open_regular(pid: int) -> Iterator[tuple[str, bool]]:
    for fd in _listed(Path(f"/proc/{pid}/fd")):
        try:
            target = os.readlink(fd)
            if not target.startswith("/") or not stat.S_ISREG(os.stat(fd).st_mode):
                continue
            told = Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()
        except OSError:
            continue
        flags = int(re.search(r"^flags:\s+(\d+)", told, re.MULTILINE)[1], 8)  # type: ignore[index]
        if not target.endswith(" (deleted)"):
            yield target, flags & os.O_ACCMODE != os.O_RDONLY


def _mappings(pid: int) -> Iterator[tuple[str, bool]]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/") and not fields[5].endswith(" (deleted)"):
            yield fields[5], "x" in fields[1]


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_device(target: str) -> bool:
    try:
        mode = os.stat(target).st_mode
    except OSError:
        return False
    device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return device and not _PLAIN_DEVICES.match(target)
