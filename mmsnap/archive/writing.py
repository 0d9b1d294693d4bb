"""Writing an archive, as a stream: nothing of it is kept in memory or on the medium."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from typing import Final, Protocol

import zstandard

from mmsnap.archive.contents import Contents
from mmsnap.archive.header import END, HEADER, MEMBERS, PART, REGION
from mmsnap.memory import Region, crc32c

_LEVEL: Final = 3  # of 1 to 22: Zstandard's own default
_CHUNK_BYTES: Final = 1 << 20
_PRIVATE: Final = 0o600


class Sink(Protocol):
    """What takes the archive's bytes."""

    def write(self, data: bytes, /) -> int:
        """Takes all of them."""


def write_archive(contents: Contents, sink: Sink, told: Callable[[int], None]) -> None:
    """Writes everything to `sink`; `told` hears how many bytes of the contents are done."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, threads=1)
    with compressor.stream_writer(_Keeping(sink), closefd=False) as compressed:  # type: ignore[arg-type]
        counting = _Counting(compressed, told)
        with tarfile.open(
            fileobj=counting, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK_BYTES
        ) as tar:
            _add_bytes(tar, HEADER, contents.header.encode())
            for member, part in contents.parts.items():
                tar.add(part.folder, f"{MEMBERS}/{member}/{PART}", filter=_without_logs)
            checksums = {
                member: _add_region(tar, f"{MEMBERS}/{member}/{REGION}", region)
                for member, region in contents.regions.items()
            }
            _add_bytes(tar, END, json.dumps({"regions": checksums}).encode())


class _Keeping(io.RawIOBase):
    """A sink as the file that the compressor wants."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        return self._sink.write(bytes(data))  # type: ignore[call-overload]


class _Counting(io.RawIOBase):
    """Tells how many bytes have passed."""

    def __init__(self, target: object, told: Callable[[int], None]) -> None:
        self._target = target
        self._told = told
        self._passed_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        written: int = self._target.write(data)  # type: ignore[attr-defined]
        self._passed_bytes += len(data)  # type: ignore[arg-type]
        self._told(self._passed_bytes)
        return written


class _Reading(io.RawIOBase):
    """A region's bytes as a file, and their checksum so far."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._at = 0
        self.crc = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        rest_bytes = self._region.extent_bytes - self._at
        chunk = bytes(self._region.memory(self._at, min(size, rest_bytes)))
        self._at += len(chunk)
        self.crc = crc32c(chunk, self.crc)
        return chunk


def _add_region(tar: tarfile.TarFile, name: str, region: Region) -> int:
    entry = tarfile.TarInfo(name)
    entry.size = region.extent_bytes
    entry.mode = _PRIVATE
    reading = _Reading(region)
    tar.addfile(entry, reading)
    return reading.crc


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = _PRIVATE
    tar.addfile(entry, io.BytesIO(data))


def _without_logs(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith("/images/dump.log") else entry
