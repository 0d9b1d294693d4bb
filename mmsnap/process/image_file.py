"""CRIU's image files: a magic number, then entries, each with its size before it.

The one module that knows this framing. What the entries mean is in criu_images.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from mmsnap.errors import CorruptionError
from mmsnap.process import criu_images_pb2 as pb

_SIZE: Final = struct.Struct("<I")
_MAGIC_BYTES: Final = 8


def files(folder: Path) -> list[pb.FileEntry]:
    """Every open file, socket and pipe, and every mapped file."""
    return _entries(folder / "files.img", _MAGIC_BYTES, [pb.FileEntry])


def tasks(folder: Path) -> list[pb.TaskEntry]:
    """The tree of processes."""
    return _entries(folder / "pstree.img", _MAGIC_BYTES, [pb.TaskEntry])


def pagemap(file: Path) -> tuple[pb.PagemapHead, list[pb.PagemapEntry]]:
    """Which pages a pages-N.img holds: its number, and runs of pages in their order there."""
    head, *rest = _entries(file, _MAGIC_BYTES, [pb.PagemapHead, pb.PagemapEntry])
    return head, rest


def rewrite(source: Path, target: Path, entries: Iterable[Message]) -> None:
    """Writes `entries` to `target` under the magic number of `source`."""
    with source.open("rb") as file:
        parts = [file.read(_MAGIC_BYTES)]
    for entry in entries:
        encoded = entry.SerializeToString()
        parts += [_SIZE.pack(len(encoded)), encoded]
    target.write_bytes(b"".join(parts))


def _entries(file: Path, at: int, kinds: Sequence[type[Any]]) -> list[Any]:
    """The entries: one of each kind in their order, the last kind for all that follow."""
    data = file.read_bytes()
    entries: list[Any] = []
    try:
        while at < len(data):
            (size_bytes,) = _SIZE.unpack_from(data, at)
            at += _SIZE.size
            entry = kinds[min(len(entries), len(kinds) - 1)]()
            if entry.ParseFromString(data[at : at + size_bytes]) != size_bytes:
                raise DecodeError("cut short")
            entries.append(entry)
            at += size_bytes
    except (DecodeError, struct.error) as error:
        raise CorruptionError(f"{file} is damaged: {error}", subject=str(file)) from error
    if not entries:
        raise CorruptionError(f"{file} is empty", subject=str(file))
    return entries
