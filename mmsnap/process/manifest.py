"""What a program's part of a checkpoint consists of, and the record that makes it whole.

    POOL/processes/GROUP.MEMBER/EPOCH/images/     what CRIU wrote
    POOL/processes/GROUP.MEMBER/EPOCH/trees/N/    captured files
    POOL/processes/GROUP.MEMBER/EPOCH/manifest.json

The manifest is written last, under a name that says it is not done; renaming it is the *prepared*
record. It has the checksum of every other file and one of its own. Whether the checkpoint exists is
the catalog's to say. Everything here may hold secrets of the program: it is readable by its owner.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from mmsnap.errors import CorruptionError, FormatVersionError, MmsnapError, NotFoundError
from mmsnap.memory import crc32c
from mmsnap.process.addresses import Address

VERSION: Final = 1
FOLDER: Final = "processes"
_MANIFEST: Final = "manifest.json"
_PRIVATE: Final = 0o700
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that is not in the checkpoint, as it was at the cut."""

    path: str
    size_bytes: int
    modified_ns: int

    def changed(self) -> str:
        """What is different now, in words; empty when nothing is."""
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return f"{self.path} is gone"
        except OSError as error:
            return f"{self.path} can not be looked at: {error.strerror}"
        if now.st_size != self.size_bytes:
            return f"{self.path} has {now.st_size} bytes and had {self.size_bytes}"
        return f"{self.path} was changed" if now.st_mtime_ns != self.modified_ns else ""


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder or file that is in the checkpoint: `path` as the program sees it, `name` here."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One program at one cut.

    Attributes:
        root_pid: the program's process id inside its namespaces.
        outputs: inodes of the pipes that were its standard output and error.
        listening: (address, port) of what it listens on.
        addresses: those of its network interfaces that its sockets used.
        written: files outside of the trees that it had open for writing.
        mapped: executables and libraries.
        parent: the epoch of the part that has the pages which are not here; 0: none.
        checksums: size and CRC32C of every file of the part.
        pages_total, pages_stored: of its memory, and those of them that are in this part.
    """

    epoch: int
    root_pid: int
    outputs: tuple[int, int]
    kernel: str
    criu_version: str
    command: tuple[str, ...]
    listening: tuple[tuple[str, int], ...] = ()
    addresses: tuple[Address, ...] = ()
    written: tuple[FileState, ...] = ()
    mapped: tuple[FileState, ...] = ()
    trees: tuple[Tree, ...] = ()
    parent: int = 0
    checksums: dict[str, tuple[int, int]] = field(default_factory=dict)
    pages_total: int = 0
    pages_stored: int = 0


class Part:
    """The folder of one epoch of one member."""

    def __init__(self, member_folder: Path, epoch: int, folder_name: str = "") -> None:
        self.epoch = epoch
        self.folder = member_folder / (folder_name or str(epoch))
        self.images = self.folder / "images"
        self.trees = self.folder / "trees"
        self._file = self.folder / _MANIFEST

    def create(self) -> None:
        """An empty part, in place of whatever an aborted epoch left."""
        self.remove()
        self.images.mkdir(parents=True, mode=_PRIVATE)
        self.trees.mkdir(mode=_PRIVATE)
        self.folder.chmod(_PRIVATE)

    def remove(self) -> None:
        """Forgets all of it, first that it was whole."""
        self._file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fork(self, name: str) -> Part:
        """A part of its own with the same files, not sealed; what is replaced in it stays here."""
        twin = Part(self.folder.parent, self.epoch, folder_name=name)
        self.link_to(twin)
        return twin

    def link_to(self, twin: Part) -> None:
        """Gives another part the same files, not sealed; MmsnapError."""
        twin.remove()
        twin.folder.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
        # Folders of captured trees keep their owners and dates: cp knows how.
        done = subprocess.run(
            ["cp", "--archive", "--link", "--", self.folder, twin.folder],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode:
            raise MmsnapError(f"{self.folder} could not be linked: {done.stderr.strip()}")
        twin.unseal()

    def unseal(self) -> None:
        """It is not whole any more, until it is sealed anew."""
        self._file.unlink()

    def exchange(self, other: Part) -> None:
        """Takes the other's place, which takes this one's, at once."""
        exchange_names(self.folder, other.folder)

    @property
    def exists(self) -> bool:
        """Whether it was ever sealed."""
        return self._file.exists()

    def size_bytes(self) -> int:
        """What it takes of the medium."""
        return sum(path.lstat().st_blocks * 512 for path in self.folder.rglob("*"))

    def seal(self, manifest: Manifest) -> None:
        """Writes the manifest: from here on the part is whole."""
        body = json.dumps({"version": VERSION, **asdict(manifest)}, separators=(",", ":")).encode()
        partial = self._file.with_suffix(".new")
        partial.write_bytes(body + b"\n%08x\n" % crc32c(body))
        partial.chmod(0o600)
        partial.rename(self._file)

    def load(self) -> Manifest:
        """The manifest.

        Raises:
            NotFoundError: the part was never sealed, or is gone.
            CorruptionError, FormatVersionError: it can not be used.
        """
        try:
            body, _, crc = self._file.read_bytes().rstrip(b"\n").rpartition(b"\n")
        except FileNotFoundError:
            raise NotFoundError(
                f"there is no part of @{self.epoch} in {self.folder}", subject=str(self.folder)
            ) from None
        if not body or crc != b"%08x" % crc32c(body):
            raise CorruptionError(f"{self._file} fails its checksum", subject=str(self._file))
        fields = json.loads(body)
        version = fields.pop("version")
        if version > VERSION:
            raise FormatVersionError(
                f"{self._file} has version {version}, this mmsnap reads {VERSION}",
                subject=str(self._file),
            )
        return _manifest(fields)

    def measure(self) -> dict[str, tuple[int, int]]:
        """Size and checksum of every file of the part."""
        return {name: _measured(self.folder / name) for name in self._names()}

    def verify(self) -> Manifest:
        """Reads everything; CorruptionError names the first file that is not as it was."""
        manifest = self.load()
        for name, (size_bytes, crc) in manifest.checksums.items():
            file = self.folder / name
            if not file.exists():
                raise CorruptionError(f"{file} is missing", subject=str(file))
            if _measured(file) != (size_bytes, crc):
                raise CorruptionError(f"{file} fails its checksum", subject=str(file))
        return manifest

    def _names(self) -> Iterator[str]:
        for path in sorted(self.folder.rglob("*")):
            if path == self._file or path.is_symlink() or path.suffix == ".log":
                continue
            if path.is_file():
                yield str(path.relative_to(self.folder))


def members_with_part(pool: Path, group: str, epoch: int) -> list[str]:
    """The unmodified members of a group that have a part of an epoch here."""
    folders = sorted((pool / FOLDER).glob(f"{group}.*/{epoch}/{_MANIFEST}"))
    return [path.parent.parent.name.partition(".")[2] for path in folders]


def member_folder(pool: Path, group: str, member: str) -> Path:
    """Where all parts of a member are."""
    return pool / FOLDER / f"{group}.{member}"


def state_of(path: str) -> FileState | None:
    """How a regular file is now; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return FileState(path, found.st_size, found.st_mtime_ns)


def exchange_names(one: Path, other: Path) -> None:
    """Each gets the other's name, in one step that a crash can not divide (renameat2)."""
    result = _libc.renameat2(_AT_FDCWD, bytes(one), _AT_FDCWD, bytes(other), _RENAME_EXCHANGE)
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


def _measured(file: Path) -> tuple[int, int]:
    size_bytes = file.stat().st_size
    if size_bytes == 0:
        return 0, 0
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as view:
        return size_bytes, crc32c(view)


def _manifest(fields: dict[str, Any]) -> Manifest:
    fields["outputs"] = tuple(fields["outputs"])
    fields["command"] = tuple(fields["command"])
    fields["listening"] = tuple((address, port) for address, port in fields["listening"])
    fields["addresses"] = tuple(Address(**a) for a in fields.get("addresses", ()))
    for name in ("written", "mapped"):
        fields[name] = tuple(FileState(**state) for state in fields[name])
    fields["trees"] = tuple(Tree(**tree) for tree in fields["trees"])
    fields["checksums"] = {name: tuple(value) for name, value in fields["checksums"].items()}
    return Manifest(**fields)
