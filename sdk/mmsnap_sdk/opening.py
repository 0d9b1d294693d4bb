"""`mmsnap.open`: an embedded app, of this process alone, without any service."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Literal

from mmsnap.errors import NotFoundError
from mmsnap.memory import Region
from mmsnap.quantities import parse_size
from mmsnap_sdk.app import App
from mmsnap_sdk.embedded import EmbeddedBackend
from mmsnap_sdk.request import automatic_checkpoints
from mmsnap_sdk.schema import Migration

Mode = Literal["a", "r+", "x", "r"]
Medium = Literal["auto", "dram", "file"]


def open(  # noqa: A001 - it is used as mmsnap.open
    pool: str | os.PathLike[str],
    region: str = "main",
    *,
    size: int | str | None = None,
    mode: Mode = "a",
    medium: Medium = "auto",
    at: str | None = None,
    every: timedelta | str | None = None,
    keep_last: int | None = None,
    schema: int = 0,
    migrate: Migration | None = None,
    allow_pickle: bool = False,
) -> App:
    """Opens a region of a pool and shows its head: the newest checkpoint, or the one since
    restored to.

    Args:
        pool: a folder, made if it does not exist. On tmpfs checkpoints survive the process, on
            a disk's file system also the machine's restart.
        region: its name in the pool: letters, digits, '.', '_' and '-'.
        size: what it may grow to, in bytes or like "4GiB"; memory is taken as it grows.
        mode: "a" opens or creates, "r+" must exist, "x" must not, "r" reads beside a writer.
        medium: "dram", "file", or "auto": as the folder's file system is.
        at: with mode "r", the checkpoint to show: a name, "latest" or "@EPOCH".
        every: takes checkpoints by itself at this interval, like "1s" or a timedelta; failures
            show in `App.last_error`.
        keep_last: how many automatic (unnamed) checkpoints stay; by default 10 with `every`,
            else all. Named ones stay until they are deleted.
        schema: the number of the program's layout of arrays and state.
        migrate: `migrate(app, stored)` brings what is stored with an older schema up to date;
            runs once, inside an update, followed by a checkpoint.
        allow_pickle: lets `App.state` keep what only pickle can; open only what you trust.

    Raises:
        InUseError: another process has it open; `pid` says which.
        NotFoundError: mode "r+" or "r", and there is no such region or checkpoint.
        CorruptionError: stored bytes are damaged; the file is named.
        SchemaMismatchError: stored with a newer schema, or with an older one and no `migrate`.
        PoolFullError: the pool's medium has no room.
        UnsupportedError: this kernel lacks what tracking needs; `mmsnap doctor` says more.
    """
    if at is not None and mode != "r":
        raise ValueError(f'at= is for mode "r", not {mode!r}; to go back in place use restore()')
    every_ns, kept = automatic_checkpoints(every, keep_last)
    size_bytes = None if size is None else parse_size(size)
    backend = EmbeddedBackend(_open_region(pool, region, size_bytes, mode, medium, at))
    return App(
        backend,
        every_ns=None if mode == "r" else every_ns,
        keep_last=kept,
        schema=schema,
        migrate=migrate,
        allow_pickle=allow_pickle,
    )


def _open_region(
    pool: str | os.PathLike[str],
    name: str,
    size_bytes: int | None,
    mode: Mode,
    medium: Medium,
    at: str | None,
) -> Region:
    region = Region.open(pool, name, size_bytes=size_bytes, mode=mode, medium=medium)
    if mode != "r":
        return region
    try:
        head = region.head
        if head is None:
            raise NotFoundError(
                f"region {name!r} has no checkpoint to read yet",
                subject=name,
                hint="take one with the program that writes it",
            )
        epoch = head.epoch if at is None else region.find(at).epoch
    except BaseException:
        region.close()
        raise
    if epoch == head.epoch:
        return region
    region.close()
    return Region.open(pool, name, mode="r", medium=medium, head=epoch)
