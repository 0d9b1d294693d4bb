"""Reading an archive into a pool, as a stream. All of it comes to be, or nothing."""

from __future__ import annotations

import errno
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

import zstandard

from mmsnap.archive.adoption import Adoption, adopting
from mmsnap.archive.header import END, HEADER, MEMBERS, PART, REGION, Header
from mmsnap.catalog import EngineKind, GroupCheckpoint
from mmsnap.errors import CorruptionError, PoolFullError
from mmsnap.memory import Region, crc32c

_CHUNK_BYTES: Final = 1 << 20
_HEADER_MAX_BYTES: Final = 1 << 20


class Source(Protocol):
    """Where the archive's bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """Some of them, at most `size`; none: there are no more."""


class Archive:
    """An archive that is being read. Use it once: `header`, then `unpack`."""

    def __init__(self, source: Source) -> None:
        """Reads the header; CorruptionError, FormatVersionError."""
        with _damage_told():
            stream = zstandard.ZstdDecompressor().stream_reader(source, closefd=False)  # type: ignore[arg-type]
            self._tar = tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK_BYTES)  # noqa: SIM115
            first = self._tar.next()
            if first is None or first.name != HEADER:
                raise CorruptionError("it is no archive of a checkpoint")
            self.header = Header.decode(self._content(first))

    def unpack(self, pool: Path, group: str) -> GroupCheckpoint:
        """Makes the members of a new group of it; the checkpoint that the catalog may adopt.

        Raises:
            CorruptionError: it is damaged or cut short.
            FileExistsError: a member of that name is there already.
            PoolFullError: no room.
        """
        self._require_room(pool)
        with _damage_told(), adopting(pool, group) as adoption:
            checksums: dict[str, int] = {}
            for figures in self.header.checkpoint.members:
                if figures.engine is EngineKind.PROCESS:
                    adoption.add_part(figures.member)
            while (entry := self._tar.next()) is not None:
                if entry.name == END:
                    self._check_end(entry, checksums, adoption)
                    adoption.complete(self.header.checkpoint.name)
                    return self.header.adopted(group)
                self._take(entry, adoption, checksums)
            raise CorruptionError("the archive was cut short: its end is missing")

    def _take(self, entry: tarfile.TarInfo, adoption: Adoption, checksums: dict[str, int]) -> None:
        top, member, kind, *rest = (*entry.name.split("/"), "", "")[: 3 + entry.name.count("/")]
        if top != MEMBERS or kind not in (PART, REGION):
            raise CorruptionError(f"the archive has {entry.name[:80]!r}, which belongs nowhere")
        if kind == REGION:
            header = self.header.regions[member]
            if entry.size != header.extent_bytes:
                raise CorruptionError(f"the archive has {entry.size} bytes of region {member}")
            region = adoption.add_region(member, header)
            checksums[member] = _fill(region, self._file(entry))
            return
        folder = adoption.parts[member].folder
        entry.name = "/".join(word for word in rest if word) or "."
        # It says what would lead out of the folder; but files keep the modes that they had.
        tarfile.tar_filter(entry, str(folder))
        self._tar.extract(entry, folder, numeric_owner=True, filter="fully_trusted")

    def _check_end(
        self, entry: tarfile.TarInfo, checksums: dict[str, int], adoption: Adoption
    ) -> None:
        told = json.loads(self._content(entry))["regions"]
        missing = self.header.regions.keys() - checksums.keys()
        wrong = [member for member, crc in checksums.items() if told.get(member) != crc]
        absent = [m for m, part in adoption.parts.items() if not part.exists]
        if missing or wrong or absent:
            who = ", ".join(sorted({*missing, *wrong, *absent}))
            raise CorruptionError(f"the archive's bytes of {who} are damaged")

    def _content(self, entry: tarfile.TarInfo) -> bytes:
        if entry.size > _HEADER_MAX_BYTES:
            raise CorruptionError(f"the archive's {entry.name} is too long")
        return self._file(entry).read()

    def _file(self, entry: tarfile.TarInfo) -> IO[bytes]:
        file = self._tar.extractfile(entry)
        if file is None:
            raise CorruptionError(f"the archive's {entry.name} is no file")
        return file

    def _require_room(self, pool: Path) -> None:
        needed = sum(region.extent_bytes for region in self.header.regions.values())
        free = shutil.disk_usage(pool).free
        if needed > free:
            raise PoolFullError(f"it needs {needed} bytes and the pool has {free}")


def _fill(region: Region, file: IO[bytes]) -> int:
    at = crc = 0
    while chunk := file.read(_CHUNK_BYTES):
        region.memory(at, len(chunk))[:] = chunk
        crc = crc32c(chunk, crc)
        at += len(chunk)
    return crc


@contextmanager
def _damage_told() -> Iterator[Any]:
    """What the libraries say of damaged bytes, in our words."""
    try:
        yield
    except (tarfile.TarError, zstandard.ZstdError, KeyError, EOFError, ValueError) as error:
        raise CorruptionError(f"the archive is damaged: {error}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise PoolFullError("the pool has no room for the archive") from error
        raise
