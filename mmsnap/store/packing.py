"""A part as pieces: what differs from a checkpoint that the other side has, each piece checked.

Everything here blocks and is an iterator, so that whoever sends decides how fast it goes. A region
is read as any reader does, beside its owner, and is held only while the iterator lives.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsnap.catalog import EngineKind
from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.memory import CheckpointRecord, Region, crc32c
from mmsnap.process.manifest import Part
from mmsnap.rpc.v1 import peer_pb2 as pb
from mmsnap.store.part_name import PartName

PAGE_BYTES: Final = 4096
STAGING: Final = "departing"
_PAGES_AT_ONCE: Final = 128  # half a MiB: a message of gRPC has one at most
_FILE_BYTES: Final = 512 << 10
# A member hears of a commit a moment after the catalog has it.
_TRIES: Final = 50
_PAUSE_SECONDS: Final = 0.1


Pieces = Generator[pb.Piece, None, None]


def pack(pool: Path, part: PartName, have: Collection[int]) -> Pieces:
    """The pieces of a part for somebody who has these epochs of the member.

    Raises:
        NotFoundError: the part is not in this pool.
        CorruptionError: it is damaged; what was sent of it has no end.
    """
    if part.engine is EngineKind.PROCESS:
        return _pack_program(pool, part, have)
    return _pack_region(pool, part, have)


# ---- regions ----


def _pack_region(pool: Path, part: PartName, have: Collection[int]) -> Pieces:
    region = _open(pool, part)
    try:
        record = region.find(f"@{part.epoch}")
        base_epoch = _common(region, record, have)
        if base_epoch:
            numbers = np.frombuffer(region.difference(base_epoch, part.epoch), np.uint32)
        else:
            region.verify(part.epoch)
            numbers = np.arange(region.extent_bytes // PAGE_BYTES, dtype=np.uint32)
        yield pb.Piece(region=_head(region, record, base_epoch))
        yield from _pages(region, numbers, zeros_too=bool(base_epoch))
    finally:
        region.close()


def _open(pool: Path, part: PartName) -> Region:
    for _ in range(_TRIES):
        try:
            return Region.open(pool, part.region, mode="r", head=part.epoch)
        except NotFoundError:
            time.sleep(_PAUSE_SECONDS)
    return Region.open(pool, part.region, mode="r", head=part.epoch)


def _common(region: Region, record: CheckpointRecord, have: Collection[int]) -> int:
    """What to tell the difference from: what it was taken after, or else the nearest before it."""
    both = {other.epoch for other in region.checkpoints()}.intersection(have)
    if record.parent in both:
        return record.parent or 0
    return max((epoch for epoch in both if epoch < record.epoch), default=min(both, default=0))


def _head(region: Region, record: CheckpointRecord, base_epoch: int) -> pb.RegionHead:
    return pb.RegionHead(
        epoch=record.epoch,
        base_epoch=base_epoch,
        size_max_bytes=region.size_max_bytes,
        extent_bytes=region.extent_bytes,
        name=record.name,
        parent_epoch=record.parent or 0,
        created_ns=record.created_ns,
        pause_ns=record.pause_ns,
        automatic=record.automatic,
        pinned=record.pinned,
        crash_only=record.consistency == "crash",
        partial=record.partial,
        meta=json.dumps(dict(record.meta)),
    )


def _pages(region: Region, numbers: NDArray[np.uint32], *, zeros_too: bool) -> Iterator[pb.Piece]:
    shown = np.frombuffer(region.memory(0, region.extent_bytes), np.uint64)
    pages = shown.reshape(-1, PAGE_BYTES // 8)
    count = crc = 0
    for at in range(0, len(numbers), _PAGES_AT_ONCE):
        chunk = numbers[at : at + _PAGES_AT_ONCE]
        taken = pages[chunk]
        if not zeros_too:
            is_used = taken.any(axis=1)
            chunk, taken = chunk[is_used], taken[is_used]
        if len(chunk):
            encoded, data = chunk.tobytes(), taken.tobytes()
            crc, count = crc32c(data, crc), count + len(chunk)
            own_crc = crc32c(data, crc32c(encoded))
            yield pb.Piece(pages=pb.Pages(numbers=encoded, data=data, crc=own_crc))
    yield pb.Piece(end=pb.PieceEnd(count=count, crc=crc))


# ---- programs ----


def _pack_program(pool: Path, part: PartName, have: Collection[int]) -> Pieces:
    """The parts that it relies on first."""
    for epoch in reversed(_chain(pool, part, have)):
        yield pb.Piece(program=pb.ProgramHead(epoch=epoch))
        staged = Part(pool / STAGING / uuid.uuid4().hex, epoch)
        source = part.at(epoch).program(pool)
        try:
            # Files of its own names: deletion may replace the part while it is read.
            source.link_to(staged)
            staged.seal(source.load())
            yield from _files(staged.folder)
        finally:
            shutil.rmtree(staged.folder.parent, ignore_errors=True)


def _chain(pool: Path, part: PartName, have: Collection[int]) -> list[int]:
    chain = []
    epoch = part.epoch
    while epoch and (epoch == part.epoch or epoch not in have):
        chain.append(epoch)
        epoch = part.at(epoch).program(pool).load().parent
    return chain


def _files(folder: Path) -> Iterator[pb.Piece]:
    words = ["tar", "--create", "--file=-", "--numeric-owner", "--sparse", "--acls", "--xattrs"]
    count = crc = 0
    with subprocess.Popen(
        [*words, "--exclude=*.log", "--directory", folder, "."],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as tar:
        assert tar.stdout is not None
        try:
            while data := tar.stdout.read(_FILE_BYTES):
                count, crc = count + len(data), crc32c(data, crc)
                yield pb.Piece(files=data)
        except BaseException:
            tar.kill()
            raise
    if tar.returncode:
        raise MmsnapError(f"{folder} could not be read: tar ended with {tar.returncode}")
    yield pb.Piece(end=pb.PieceEnd(count=count, crc=crc))
