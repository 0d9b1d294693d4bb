"""What the memory engine tells of checkpoints and of the room they take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mmsnap.memory._native import ffi, lib
from mmsnap.memory.status import text_of

_KNOWN_MAX: Final = 1024


@dataclass(frozen=True)
class CheckpointRecord:
    """A committed checkpoint of one region.

    Attributes:
        name: unique among the region's checkpoints.
        epoch: its number; later checkpoints have higher ones.
        parent: epoch of the checkpoint it was taken after, None for the first.
        created_ns: nanoseconds since 1970, UTC.
        pause_ns: how long updates were kept waiting.
        bytes_written: page bytes that went into the redo log.
        automatic: True when the user gave it no name.
        consistency: "application" when no update was open and nothing was written meanwhile.
        partial: with "crash": an exception had left an update half done.
        meta: what the layer above stored with it.
    """

    name: str
    epoch: int
    parent: int | None
    created_ns: int
    pause_ns: int
    bytes_written: int
    automatic: bool
    pinned: bool
    durable: bool
    group: bool
    consistency: Literal["crash", "application"]
    partial: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RegionUsage:
    """Bytes of one region: ``private_bytes`` are of the process, the rest is in the pool."""

    size_max_bytes: int
    base_bytes: int
    private_bytes: int
    log_bytes: int
    delta_bytes: int
    dirty_bytes: int
    pool_free_bytes: int
    checkpoint_count: int
    pending_apply_count: int


def encode_meta(meta: Mapping[str, Any]) -> bytes:
    """``meta`` as the bytes kept in a checkpoint's record; ValueError if they are too many."""
    encoded = json.dumps(meta, separators=(",", ":")).encode() if meta else b""
    if len(encoded) > lib.MM_META_MAX:
        raise ValueError(
            f"labels and other details of a checkpoint have at most {lib.MM_META_MAX} bytes, "
            f"not {len(encoded)}"
        )
    return encoded


class Records:
    """Records of a region's checkpoints as they are told by the core, each made only once.

    Making one takes a tenth of a millisecond in a program that was doing something else; a
    restore in place should not take twice as long because of it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], CheckpointRecord] = {}

    def of(self, info: Any) -> CheckpointRecord:
        """The record of an ``mm_checkpoint_info``."""
        key = (info.epoch, info.created_ns, info.flags)  # all that can differ
        record = self._known.get(key)
        if record is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            record = self._known[key] = _made_of(info)
        return record


def _made_of(info: Any) -> CheckpointRecord:
    meta = bytes(ffi.buffer(info.meta, info.meta_size))
    return CheckpointRecord(
        name=text_of(info.name),
        epoch=info.epoch,
        parent=info.parent or None,
        created_ns=info.created_ns,
        pause_ns=info.pause_ns,
        bytes_written=info.bytes_written,
        automatic=bool(info.flags & lib.MM_CHECKPOINT_AUTOMATIC),
        pinned=bool(info.flags & lib.MM_CHECKPOINT_PINNED),
        durable=bool(info.flags & lib.MM_CHECKPOINT_DURABLE),
        group=bool(info.flags & lib.MM_CHECKPOINT_GROUP),
        consistency="crash" if info.flags & lib.MM_CHECKPOINT_CRASH else "application",
        partial=bool(info.flags & lib.MM_CHECKPOINT_PARTIAL),
        meta=json.loads(meta) if meta else {},
    )


def record_info(record: CheckpointRecord) -> Any:
    """The ``mm_checkpoint_info`` of a record."""
    meta = encode_meta(record.meta)
    flags = (
        (record.automatic, lib.MM_CHECKPOINT_AUTOMATIC),
        (record.pinned, lib.MM_CHECKPOINT_PINNED),
        (record.group, lib.MM_CHECKPOINT_GROUP),
        (record.consistency == "crash", lib.MM_CHECKPOINT_CRASH),
        (record.partial, lib.MM_CHECKPOINT_PARTIAL),
    )
    return ffi.new(
        "mm_checkpoint_info *",
        {
            "epoch": record.epoch,
            "parent": record.parent or 0,
            "created_ns": record.created_ns,
            "pause_ns": record.pause_ns,
            "bytes_written": record.bytes_written,
            "flags": sum(flag for is_set, flag in flags if is_set),
            "meta_size": len(meta),
            "name": record.name.encode(),
            "meta": meta,
        },
    )


def usage_of(usage: Any) -> RegionUsage:
    """The figures of an ``mm_usage``."""
    return RegionUsage(**{name: getattr(usage, name) for name in RegionUsage.__dataclass_fields__})
