"""A region: named memory of one application in a pool, with its checkpoints.

One process owns a region; others may read its checkpoints beside it. This class holds the
C core's handle, its lifetime and its errors, and nothing of what the bytes mean.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from mmsnap.errors import ForkedError, NotFoundError
from mmsnap.memory._gate import Guard
from mmsnap.memory._native import ffi, lib
from mmsnap.memory.membership import Membership
from mmsnap.memory.records import (
    CheckpointRecord,
    Records,
    RegionUsage,
    encode_meta,
    record_info,
    usage_of,
)
from mmsnap.memory.status import check, raise_status

_MODES = {
    "a": lib.MM_MODE_OPEN_OR_CREATE,
    "r+": lib.MM_MODE_MUST_EXIST,
    "x": lib.MM_MODE_MUST_CREATE,
    "r": lib.MM_MODE_READ_ONLY,
}
_MEDIA = {"auto": lib.MM_MEDIUM_AUTO, "dram": lib.MM_MEDIUM_DRAM, "file": lib.MM_MEDIUM_FILE}
_MEDIUM_NAMES = {number: name for name, number in _MEDIA.items()}
_EPOCH_NONE = 2**64 - 1


def _decide(context: Any, epoch: int) -> int:
    """Asks the function behind ``context`` whether a group's epoch was committed."""
    decide: Callable[[int], bool | None] = ffi.from_handle(context)
    answer = decide(epoch)
    return -1 if answer is None else int(answer)


# An exception in it is printed, and the epoch stays in doubt.
ffi.def_extern("mm_decide_in_python", error=-1)(_decide)


def make_pool(pool: str | os.PathLike[str]) -> None:
    """Makes the folder a pool, if it is none."""
    check(lib.mm_pool_make(os.fsencode(pool)), os.fspath(pool))


def regions(pool: str | os.PathLike[str]) -> list[str]:
    """Names of the regions in a pool folder; NotFoundError when it is no pool."""
    folder = Path(pool)
    if not (folder / "mmsnap.pool").exists():
        raise NotFoundError(f"{folder} is not a pool: it has no mmsnap.pool", subject=str(folder))
    return sorted(path.parent.name for path in folder.glob("regions/*/region"))


class Region:
    """An open region. Made by :meth:`open`, ends with :meth:`close`; not in a forked child."""

    EMPTY_HEAD: ClassVar[int] = -1
    """As ``head`` or as the target of a restore: no checkpoint, every byte zero."""

    def __init__(self, handle: Any, pool: Path, name: str, mode: str) -> None:
        self._handle = ffi.gc(handle, lib.mm_region_unref)
        self.pool = pool
        self.name = name
        self.read_only = mode == "r"
        self.created = bool(lib.mm_region_created(handle))
        self.medium = _MEDIUM_NAMES[lib.mm_region_medium(handle)]
        self.address = int(ffi.cast("uintptr_t", lib.mm_region_address(handle)))
        self.size_max_bytes: int = lib.mm_region_size_max(handle)
        self.closed = False
        self._records = Records()
        self.guard = Guard(self._handle, int(ffi.cast("uintptr_t", handle)), ForkedError)
        # Views hold a reference of their own, so that they outlive close() and this object.
        lib.mm_region_ref(handle)
        memory = ffi.gc(ffi.cast("char *", lib.mm_region_address(handle)), _release(handle))
        self._memory = memoryview(ffi.buffer(memory, self.size_max_bytes)).cast("B")

    @classmethod
    def open(
        cls,
        pool: str | os.PathLike[str],
        name: str = "main",
        *,
        size_bytes: int | None = None,
        mode: str = "a",
        medium: str = "auto",
        head: int | None = None,
        decide: Callable[[int], bool | None] | None = None,
    ) -> Region:
        """Opens region ``name`` of the folder ``pool``, showing its head.

        Args:
            size_bytes: most bytes it may ever have; address space, not memory.
            mode: "a" open or create, "r+" must exist, "x" must not, "r" read beside a writer.
            medium: "auto" (dram on a memory file system, else file), "dram" or "file".
            head: epoch to make the head (mode "r": to show), EMPTY_HEAD for none of them.
            decide: asked whether a prepared epoch of a group was committed; when it says None,
                that stays in doubt and the region is not opened.

        Raises:
            InUseError, NotFoundError, FileExistsError, CorruptionError, FormatVersionError,
            PoolFullError, UnsupportedError; ValueError for arguments out of range.
        """
        if mode not in _MODES:
            raise ValueError(f"mode is one of {', '.join(map(repr, _MODES))}, not {mode!r}")
        if medium not in _MEDIA:
            raise ValueError(f"medium is one of {', '.join(map(repr, _MEDIA))}, not {medium!r}")
        context = ffi.new_handle(decide) if decide else ffi.NULL
        options = ffi.new(
            "mm_open_options *",
            {
                "mode": _MODES[mode],
                "medium": _MEDIA[medium],
                "size_max_bytes": size_bytes or 0,
                "head_epoch": _epoch(head),
                "decide": lib.mm_decide_in_python if decide else ffi.NULL,
                "decide_context": context,
            },
        )
        folder = Path(pool).absolute()
        handle: Any = ffi.new("mm_region **")
        status = lib.mm_region_open(os.fsencode(folder), name.encode(), options, handle)
        check(status, f"region {name} of {folder}")
        return cls(handle[0], folder, name, mode)

    # ---- memory ----------------------------------------------------------------------

    @property
    def extent_bytes(self) -> int:
        """Bytes from the start that may be touched; grows by :meth:`grow`."""
        return int(lib.mm_region_extent(self._handle))

    def memory(self, offset: int, size_bytes: int) -> memoryview:
        """A writable view of bytes within the extent, valid even after :meth:`close`.

        What is written to it is kept by checkpoints while the region is open for writing;
        otherwise it is private to this process.
        """
        if offset < 0 or size_bytes < 0 or offset + size_bytes > self.extent_bytes:
            raise ValueError(
                f"bytes {offset} to {offset + size_bytes} are outside region {self.name} "
                f"of {self.extent_bytes} bytes"
            )
        return self._memory[offset : offset + size_bytes]

    def grow(self, extent_bytes: int) -> None:
        """Makes at least ``extent_bytes`` usable; new bytes are zeros. PoolFullError, unchanged."""
        check(lib.mm_region_grow(self._handle, extent_bytes), self.name)

    @property
    def partial(self) -> bool:
        """An exception left an update half done: checkpoints are "crash" until it is cleared."""
        return bool(lib.mm_region_partial(self._handle))

    @partial.setter
    def partial(self, partial: bool) -> None:
        lib.mm_region_set_partial(self._handle, int(partial))

    @property
    def generation(self) -> int:
        """The last restore of its group that the memory followed; fits it inside an update."""
        return int(lib.mm_region_generation(self._handle))

    @generation.setter
    def generation(self, generation: int) -> None:
        lib.mm_region_set_generation(self._handle, generation)

    def peek(self) -> list[tuple[int, int]]:
        """(offset, size) in bytes of what was written since the last collection."""
        room = 64
        while True:
            ranges: Any = ffi.new("mm_range[]", room)
            count: Any = ffi.new("size_t *", room)
            check(lib.mm_region_peek(self._handle, ranges, count), self.name)
            if count[0] <= room:
                return [(ranges[i].offset, ranges[i].size) for i in range(count[0])]
            room = 2 * count[0]

    def collect(self) -> None:
        """Notes what was written so far for the next checkpoint; :meth:`peek` starts anew."""
        check(lib.mm_region_collect(self._handle), self.name)

    # ---- checkpoints -----------------------------------------------------------------

    def checkpoint(
        self,
        name: str | None = None,
        *,
        automatic: bool = False,
        meta: Mapping[str, Any] | None = None,
        durable: bool = False,
        accept_partial: bool = False,
        quiesce_timeout_ns: int = 0,
        max_pause_ns: int = 0,
    ) -> CheckpointRecord:
        """Takes a checkpoint and returns when it is committed, or durable if asked for.

        Zeros stand for the defaults: ten seconds for open updates to end, no limit of the
        pause. Whatever is raised, nothing is lost: the next checkpoint has all of it.

        Raises:
            PoolFullError, QuiesceTimeoutError, PauseExceededError, UnsupportedError;
            FileExistsError for a name in use, RuntimeError inside an update.
        """
        encoded = encode_meta(meta or {})
        name_bytes = name.encode() if name else None
        kept = [ffi.new("char[]", name_bytes) if name_bytes else ffi.NULL, ffi.from_buffer(encoded)]
        request = ffi.new(
            "mm_checkpoint_request *",
            {
                "name": kept[0],
                "meta": kept[1],
                "meta_size": len(encoded),
                "flags": lib.MM_CHECKPOINT_AUTOMATIC if automatic else 0,
                "durable": int(durable),
                "accept_partial": int(accept_partial),
                "quiesce_timeout_ns": quiesce_timeout_ns,
                "max_pause_ns": max_pause_ns,
            },
        )
        info: Any = ffi.new("mm_checkpoint_info *")
        check(lib.mm_region_checkpoint(self._handle, request, info), self.name)
        return self._records.of(info)

    def restore(self, epoch: int | None = None) -> CheckpointRecord:
        """Shows checkpoint ``epoch`` (None: the head) at the same address; it is the head now."""
        info: Any = ffi.new("mm_checkpoint_info *")
        check(lib.mm_region_restore(self._handle, _epoch(epoch), info), self.name)
        return self._records.of(info)

    @property
    def head(self) -> CheckpointRecord | None:
        """The checkpoint that a crash would return to; None when there is none yet."""
        info: Any = ffi.new("mm_checkpoint_info *")
        status = lib.mm_region_head(self._handle, info)
        if status == lib.MM_E_NOT_FOUND:
            return None
        check(status, self.name)
        return self._records.of(info)

    def checkpoints(self) -> list[CheckpointRecord]:
        """All committed checkpoints, by ascending epoch."""
        room = 16
        while True:
            infos: Any = ffi.new("mm_checkpoint_info[]", room)
            count: Any = ffi.new("size_t *", room)
            check(lib.mm_region_checkpoints(self._handle, infos, count), self.name)
            if count[0] <= room:
                return [self._records.of(infos[i]) for i in range(count[0])]
            room = 2 * count[0]

    def find(self, name: str = "latest") -> CheckpointRecord:
        """The checkpoint of a name, of "latest" (the head) or of "@EPOCH"; else NotFoundError."""
        found = self.head if name == "latest" else self._named(name)
        if found is None:
            raise NotFoundError(
                f"region {self.name} has no checkpoint {name}",
                subject=name,
                hint=f"`mmsnap checkpoint list --pool {self.pool} --region {self.name}` lists them",
            )
        return found

    def _named(self, name: str) -> CheckpointRecord | None:
        is_epoch = name.startswith("@") and name[1:].isdecimal()
        matching = (
            record
            for record in self.checkpoints()
            if record.name == name or (is_epoch and record.epoch == int(name[1:]))
        )
        return next(matching, None)

    def delete(self, epoch: int) -> None:
        """Forgets a checkpoint and frees what nothing else needs. ValueError for the head."""
        check(lib.mm_region_delete(self._handle, _epoch(epoch)), self.name)

    def pin(self, epoch: int, pinned: bool) -> None:
        """Keeps a checkpoint from being deleted, or no longer."""
        check(lib.mm_region_pin(self._handle, epoch, int(pinned)), self.name)

    def flush(self, epoch: int) -> None:
        """Makes a checkpoint durable; UnsupportedError on a medium that cannot."""
        check(lib.mm_region_flush(self._handle, epoch), self.name)

    def verify(self, epoch: int | None = None) -> None:
        """Reads and checks all that a checkpoint (None: every one) stands on; CorruptionError."""
        check(lib.mm_region_verify(self._handle, _epoch(epoch)), self.name)

    def difference(self, base_epoch: int, epoch: int) -> memoryview:
        """Numbers of the pages in which a checkpoint may differ from another, as uint32."""
        room = 1024
        while True:
            pages: Any = ffi.new("uint32_t[]", room)
            count: Any = ffi.new("size_t *", room)
            status = lib.mm_region_difference(self._handle, base_epoch, epoch, pages, count)
            check(status, self.name)
            if count[0] <= room:
                return memoryview(ffi.buffer(pages, 4 * count[0])).cast("I")
            room = count[0]

    def adopt(self, record: CheckpointRecord) -> None:
        """Makes what the memory shows a checkpoint taken elsewhere, of which `record` tells all.

        Raises:
            FileExistsError: it is here already. PoolFullError: no room; nothing has changed.
        """
        info = record_info(record)
        check(lib.mm_region_adopt(self._handle, info), self.name)

    def settle(self) -> None:
        """Waits until every commit is applied to the base and tracking is armed."""
        check(lib.mm_region_settle(self._handle), self.name)

    def usage(self) -> RegionUsage:
        """What the region takes, in bytes."""
        usage: Any = ffi.new("mm_usage *")
        check(lib.mm_region_usage(self._handle, usage), self.name)
        return usage_of(usage)

    # ---- membership and the end ------------------------------------------------------

    def join(self, socket_path: str, token: int, *, hooks: bool) -> Membership:
        """Obeys the node service behind ``socket_path``; AgentUnavailableError without one."""
        member: Any = ffi.new("mm_member **")
        path = os.fsencode(socket_path)
        status = lib.mm_member_start(self._handle, path, token, int(hooks), member)
        if status != lib.MM_OK:
            raise_status(status, socket_path)
        return Membership(self, member[0], hooks=hooks)

    def close(self) -> None:
        """Ends ownership and tracking. Views stay usable; what is written to them is not kept."""
        if not self.closed:
            check(lib.mm_region_close(self._handle), self.name)
            self.closed = True


def _release(handle: Any) -> Callable[[Any], None]:
    def release(_memory: Any) -> None:
        lib.mm_region_unref(handle)

    return release


def _epoch(epoch: int | None) -> int:
    """What the core calls it: there zero is the head, which no caller here may mean."""
    if epoch is None:
        return 0
    if epoch == Region.EMPTY_HEAD:
        return _EPOCH_NONE
    if epoch < 1:
        raise NotFoundError(f"there is no checkpoint @{epoch}", subject=f"@{epoch}")
    return epoch
