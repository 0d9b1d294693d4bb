"""What a node's pool lies on: found out, mounted, written down so that it comes back, taken down.

Where there is no PMem, a tmpfs stands in for it. A mount is a line in fstab as well, so that the
pool's folder is the same after the machine restarted (what was in it is not: memory is memory).
Needs root; asks nobody and prints nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mmsnap.errors import MmsnapError, NotFoundError, PoolFullError, UnsupportedError
from mmsnap.quantities import format_size

POOL: Final = "pool"
RECORD: Final = "prepared.json"
MEMORY_FILE_SYSTEMS: Final = ("tmpfs", "ramfs")
_LEFT_TO_THE_MACHINE_BYTES: Final = 1 << 30
_MARK: Final = "# mmsnap node prepare"
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system, and where it is mounted."""

    folder: Path
    file_system: str
    options: frozenset[str]

    @property
    def is_dax(self) -> bool:
        """Whether its files are mapped straight from persistent memory."""
        return any(option == "dax" or option == "dax=always" for option in self.options)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was asked for, kept in the node's folder.

    Attributes:
        refused: why it was not done; empty when it was.
    """

    capacity_bytes: int
    emulated: bool
    refused: str = ""

    def write(self, folder: Path) -> None:
        """Replaces the one before."""
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = folder / f".{RECORD}"
        new.write_text(json.dumps(asdict(self)) + "\n")
        new.replace(folder / RECORD)

    @classmethod
    def read(cls, folder: Path) -> Preparation | None:
        """None: nobody asked for anything, or nobody can read it."""
        try:
            told: dict[str, Any] = json.loads((folder / RECORD).read_text())
            return cls(int(told["capacity_bytes"]), bool(told["emulated"]), str(told["refused"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(capacity_bytes: int) -> None:
    """UnsupportedError when this machine can not have so much in memory."""
    total_bytes = memory_bytes()
    most_bytes = total_bytes - _LEFT_TO_THE_MACHINE_BYTES
    if capacity_bytes > most_bytes:
        raise UnsupportedError(
            f"a pool of {format_size(capacity_bytes)} does not fit: this machine has "
            f"{format_size(total_bytes)} of memory, {format_size(most_bytes)} at most for a pool",
            hint="give a smaller --mm-capacity",
        )


def mount_of(folder: Path) -> Mount:
    """The file system that a folder that exists is on."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    found: Mount | None = None
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        fields, kinds = mount.split(), source.split()
        if fields[2] == number:
            place = Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[4]))
            options = frozenset([*fields[5].split(","), *kinds[-1].split(",")])
            found = Mount(place, kinds[0], options)
    if found is None:
        raise NotFoundError(f"the file system of {folder} is not known", subject=str(folder))
    return found


def check_pmem(folder: Path, capacity_bytes: int) -> None:
    """That the node's folder is on persistent memory, with room; UnsupportedError."""
    mount = mount_of(_existing(folder))
    if not mount.is_dax:
        raise UnsupportedError(
            f"{folder} is on {mount.file_system}, which is no persistent memory: it is not mounted "
            "with dax",
            hint="mount an fsdax file system there with -o dax, or let memory stand in for it with "
            "--pmem-emulation",
        )
    room = os.statvfs(mount.folder)
    total_bytes = room.f_blocks * room.f_frsize
    if capacity_bytes > total_bytes:
        raise UnsupportedError(
            f"a pool of {format_size(capacity_bytes)} does not fit: the file system at "
            f"{mount.folder} has {format_size(total_bytes)}",
            hint="give a smaller --mm-capacity",
        )


def mount_memory(pool: Path, capacity_bytes: int) -> None:
    """A tmpfs of this size; one that is there already gets the size. PoolFullError: it has more."""
    pool.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = f"size={capacity_bytes}"
    if not os.path.ismount(pool):
        if any(pool.iterdir()):
            raise UnsupportedError(
                f"{pool} is not empty, and what is in it would be hidden",
                subject=str(pool),
                hint="look what it is, and move it away",
            )
        _run("mount", "-t", "tmpfs", "-o", f"{size},mode=0700", "mmsnap", str(pool))
        return
    room = os.statvfs(pool)
    used_bytes = (room.f_blocks - room.f_bfree) * room.f_frsize
    if capacity_bytes < used_bytes:
        raise PoolFullError(
            f"the pool {pool} has {format_size(used_bytes)} in it already", subject=str(pool)
        )
    _run("mount", "-o", f"remount,{size}", str(pool))


def unmount(pool: Path) -> None:
    """What is in it is gone then."""
    if os.path.ismount(pool):
        _run("umount", str(pool))


def drop_empty(folder: Path) -> None:
    """Remove a folder that has nothing in it, and on which nothing is mounted."""
    if folder.is_dir() and not os.path.ismount(folder) and not any(folder.iterdir()):
        folder.rmdir()


def remember_mount(fstab: Path, pool: Path, capacity_bytes: int | None) -> None:
    """Let the machine mount the pool's folder when it starts; None: not any more."""
    before = fstab.read_text() if fstab.exists() else ""
    kept = [line for line in before.splitlines() if not _is_of(line, pool)]
    if capacity_bytes is not None:
        kept.append(
            f"mmsnap {_escaped(pool)} tmpfs size={capacity_bytes},mode=0700,nofail 0 0 {_MARK}"
        )
    after = "".join(f"{line}\n" for line in kept)
    if after != before:
        new = fstab.with_name(f".{fstab.name}.mmsnap")
        new.write_text(after)
        if fstab.exists():
            new.chmod(fstab.stat().st_mode & 0o777)
        new.replace(fstab)


def _is_of(line: str, pool: Path) -> bool:
    return line.endswith(_MARK) and line.split()[1:2] == [_escaped(pool)]


def _escaped(path: Path) -> str:
    return str(path).replace("\\", r"\134").replace(" ", r"\040").replace("\t", r"\011")


def _existing(folder: Path) -> Path:
    """The folder itself, or what it would be made in."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _run(*words: str) -> None:
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    if told.returncode:
        raise MmsnapError(f"{' '.join(words)}: {told.stderr.strip() or told.returncode}")
