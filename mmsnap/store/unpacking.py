"""Pieces back into a part of this pool: whole, or not there.

Blocks. Of one thread at a time, one `Unpacking` for one part.
"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from mmsnap.catalog import EngineKind
from mmsnap.errors import CorruptionError, PoolFullError
from mmsnap.memory import CheckpointRecord, Region, crc32c
from mmsnap.process.manifest import Part
from mmsnap.rpc.v1 import peer_pb2 as pb
from mmsnap.store.packing import PAGE_BYTES
from mmsnap.store.part_name import PartName

ARRIVING: Final = "arriving"


class Unpacking:
    """Takes the pieces in their order; `close` always, and what has no end then is gone."""

    def __init__(self, pool: Path, part: PartName, decide: Callable[[int], bool]) -> None:
        """`decide`: whether an epoch that a member left sealed was committed."""
        self._part = part
        self._taking: _Region | _Program
        if part.engine is EngineKind.PROCESS:
            self._taking = _Program(pool, part)
        else:
            self._taking = _Region(pool, part, decide)

    @property
    def is_whole(self) -> bool:
        """Whether the part that was asked for is here."""
        return self._taking.arrived_epoch == self._part.epoch

    def take(self, piece: pb.Piece) -> None:
        """The next one.

        Raises:
            CorruptionError: it is damaged, or follows on nothing.
            PoolFullError: no room. InUseError: the region has an owner.
        """
        try:
            if not self._taking.take(piece):
                raise CorruptionError(f"what came of {self._part} makes no sense")
        except OSError as error:
            if error.errno != errno.ENOSPC and not isinstance(error, BrokenPipeError):
                raise
            raise _no_room(self._part) from error

    def close(self) -> None:
        """No more pieces."""
        self._taking.close()


def _no_room(part: PartName) -> PoolFullError:
    return PoolFullError(
        f"the pool has no room for a copy of {part}",
        subject=part.region,
        hint="delete or prune checkpoints, or enlarge the pool",
    )


class _Region:
    """Pages are laid over a checkpoint that is here; then they are taken as one."""

    def __init__(self, pool: Path, part: PartName, decide: Callable[[int], bool]) -> None:
        self.arrived_epoch = 0
        self._pool = pool
        self._part = part
        self._decide = decide
        self._region: Region | None = None
        self._head: pb.RegionHead | None = None
        self._pages: Any = None
        self._count = self._crc = 0

    def take(self, piece: pb.Piece) -> bool:
        match piece.WhichOneof("what"):
            case "region" if self._region is None:
                self._begin(piece.region)
            case "pages" if self._region is not None:
                self._lay(piece.pages)
            case "end" if self._region is not None:
                self._complete(piece.end)
            case _:
                return False
        return True

    def close(self) -> None:
        self._pages = None
        if self._region is not None:
            self._region.close()
            self._region = None

    def _begin(self, head: pb.RegionHead) -> None:
        if head.epoch != self._part.epoch:
            raise CorruptionError(f"@{head.epoch} came in place of {self._part}")
        self._region = Region.open(
            self._pool, self._part.region, size_bytes=head.size_max_bytes, decide=self._decide
        )
        self._head = head
        if not self._region.created:
            self._region.restore(head.base_epoch or Region.EMPTY_HEAD)
        for record in self._region.checkpoints():
            # Forgotten while this node was not told; its name may be in use again.
            if not self._decide(record.epoch):
                self._region.delete(record.epoch)
        self._region.grow(head.extent_bytes)
        memory = self._region.memory(0, head.extent_bytes)
        self._pages = np.frombuffer(memory, np.uint8).reshape(-1, PAGE_BYTES)

    def _lay(self, pages: pb.Pages) -> None:
        numbers = np.frombuffer(pages.numbers, np.uint32)
        is_whole = crc32c(pages.data, crc32c(pages.numbers)) == pages.crc
        if not is_whole or len(pages.data) != PAGE_BYTES * len(numbers):
            raise CorruptionError(f"pages of {self._part} were damaged on their way")
        if len(numbers) and int(numbers.max()) >= len(self._pages):
            raise CorruptionError(f"{self._part} has pages behind its end")
        self._pages[numbers] = np.frombuffer(pages.data, np.uint8).reshape(-1, PAGE_BYTES)
        self._count, self._crc = self._count + len(numbers), crc32c(pages.data, self._crc)

    def _complete(self, end: pb.PieceEnd) -> None:
        assert self._region is not None
        assert self._head is not None
        if (end.count, end.crc) != (self._count, self._crc):
            raise CorruptionError(f"pages of {self._part} were lost on their way")
        self._region.adopt(_record(self._head))
        self.arrived_epoch = self._head.epoch
        self.close()


def _record(head: pb.RegionHead) -> CheckpointRecord:
    return CheckpointRecord(
        name=head.name,
        epoch=head.epoch,
        parent=head.parent_epoch or None,
        created_ns=head.created_ns,
        pause_ns=head.pause_ns,
        bytes_written=0,
        automatic=head.automatic,
        pinned=head.pinned,
        durable=False,
        group=True,
        consistency="crash" if head.crash_only else "application",
        partial=head.partial,
        meta=json.loads(head.meta),
    )


class _Program:
    """Folders that get their name when all that is in them is as its manifest says."""

    def __init__(self, pool: Path, part: PartName) -> None:
        self.arrived_epoch = 0
        self._pool = pool
        self._part = part
        self._arriving: Part | None = None
        self._tar: subprocess.Popen[bytes] | None = None
        self._told = tempfile.TemporaryFile()  # noqa: SIM115
        self._count = self._crc = 0

    def take(self, piece: pb.Piece) -> bool:
        match piece.WhichOneof("what"):
            case "program" if self._tar is None:
                self._begin(piece.program.epoch)
            case "files" if self._tar is not None:
                assert self._tar.stdin is not None
                self._tar.stdin.write(piece.files)
                self._count += len(piece.files)
                self._crc = crc32c(piece.files, self._crc)
            case "end" if self._tar is not None:
                self._complete(piece.end)
            case _:
                return False
        return True

    def close(self) -> None:
        if self._tar is not None:
            self._tar.kill()
            with suppress(BrokenPipeError):
                self._tar.communicate()
            self._tar = None
        self._told.close()
        if self._arriving is not None:
            shutil.rmtree(self._arriving.folder, ignore_errors=True)
            self._arriving = None

    def _begin(self, epoch: int) -> None:
        self._arriving = self._part.at(epoch).program(self._pool, f"{epoch}.{ARRIVING}")
        self._arriving.remove()
        self._arriving.folder.mkdir(parents=True, mode=0o700)
        self._count = self._crc = 0
        words = ["tar", "--extract", "--file=-", "--numeric-owner", "--preserve-permissions"]
        words += ["--same-owner", "--acls", "--xattrs"]
        self._tar = subprocess.Popen(
            [*words, "--directory", self._arriving.folder],
            stdin=subprocess.PIPE,
            stderr=self._told,
            start_new_session=True,
        )

    def _complete(self, end: pb.PieceEnd) -> None:
        assert self._tar is not None
        assert self._arriving is not None
        self._tar.communicate()
        failed, self._tar = self._tar.returncode, None
        self._told.seek(0)
        if failed and b"No space left" in self._told.read():
            raise _no_room(self._part)
        if failed or (end.count, end.crc) != (self._count, self._crc):
            raise CorruptionError(f"files of {self._part} were damaged on their way")
        self._arriving.verify()
        epoch = self._arriving.epoch
        final = self._part.at(epoch).program(self._pool)
        final.remove()
        self._arriving.folder.rename(final.folder)
        self._arriving = None
        self.arrived_epoch = epoch
