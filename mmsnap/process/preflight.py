"""Whether a restore can work, asked before anything is killed.

Each answer is a sentence of why not. What only trying can tell is not asked here; then the restore
fails, and everything that it made is torn down.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError
from mmsnap.process.criu import Criu
from mmsnap.process.manifest import Manifest, Part

_LISTEN_STATE: Final = "0A"


def reasons_against(criu: Criu, part: Part, own_pids: Collection[int]) -> list[str]:
    """Why the part can not be restored here and now; `own_pids` will be gone by then."""
    try:
        manifest = part.verify()
    except MmsnapError as error:
        return [error.message]
    return [
        *_changed_files(manifest),
        *_taken_ports(manifest, own_pids),
        *_processor(criu, part),
        *_parents(part),
        *_memory(part, manifest),
    ]


def _changed_files(manifest: Manifest) -> list[str]:
    mapped = [state.changed() for state in manifest.mapped]
    written = [state.changed() for state in manifest.written]
    told = [f"the program's file {words}" for words in mapped if words]
    return told + [
        f"{words} since (it was open for writing; `mmsnap run --files` would capture it)"
        for words in written
        if words
    ]


def _taken_ports(manifest: Manifest, own_pids: Collection[int]) -> list[str]:
    wanted = {port for _, port in manifest.listening}
    taken = _listening_ports() if wanted else {}
    told = []
    for port in sorted(wanted & taken.keys()):
        holders = {pid for inode in taken[port] for pid in _holders(inode)}
        if not holders or holders - set(own_pids):
            who = ", ".join(f"process {pid}" for pid in sorted(holders)) or "somebody else"
            told.append(f"port {port} is taken by {who}")
    return told


def _listening_ports() -> dict[int, set[int]]:
    """Inodes of the listening sockets of this network namespace, by port."""
    found: dict[int, set[int]] = {}
    for table in ("tcp", "tcp6"):
        file = Path(f"/proc/self/net/{table}")
        lines = file.read_text().splitlines()[1:] if file.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN_STATE:
                port = int(fields[1].rpartition(":")[2], 16)
                found.setdefault(port, set()).add(int(fields[9]))
    return found


def _holders(inode: int) -> Iterable[int]:
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if any(os.readlink(fd) == wanted for fd in (process / "fd").iterdir()):
                yield int(process.name)
        except OSError:
            continue


def _processor(criu: Criu, part: Part) -> list[str]:
    if not (part.images / "cpuinfo.img").exists():
        return []
    done = subprocess.run(
        [*criu.criu.command, "cpuinfo", "check", f"--images-dir={part.images}"],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode == 0:
        return []
    told = re.findall(r"Error \([^)]*\): (.*)", done.stderr + done.stdout)
    return [f"this processor lacks what the program may use: {told[0] if told else 'CRIU says so'}"]


def _parents(part: Part) -> list[str]:
    link = part.images / "parent"
    if link.is_symlink() and not link.resolve().is_dir():
        return [f"its parent {link.resolve()} is gone"]
    return []


def _memory(part: Part, manifest: Manifest) -> list[str]:
    told = Path("/proc/meminfo").read_text()
    available = int(re.search(r"^MemAvailable:\s+(\d+)", told, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    needed = manifest.pages_total * 4096
    if needed <= available:
        return []
    return [f"it needs {needed} bytes of memory, and {available} are available"]
