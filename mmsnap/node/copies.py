"""Copies of a group's checkpoint: clones in this pool, archives out of it and into it.

What takes long runs on a thread; bytes go between it and the event loop in bounded queues, so that
neither a slow reader nor a slow medium lets them pile up.
"""

from __future__ import annotations

import asyncio
import queue
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from mmsnap.archive import (
    Archive,
    Contents,
    clone_members,
    open_contents,
    remove_member,
    write_archive,
)
from mmsnap.catalog import EngineKind, GroupCheckpoint, group_taken
from mmsnap.errors import AbortedError, NotFoundError
from mmsnap.node.bounds import check_label
from mmsnap.node.desk import Desk
from mmsnap.node.live_group import LiveGroup

_STAGING: Final = "exports"
_QUEUE_CHUNKS: Final = 8


async def clone(
    group: LiveGroup, name: str, new: str, members: Mapping[str, str]
) -> GroupCheckpoint:
    """A new group that begins as the checkpoint was; its programs are restored when started.

    Args:
        members: what some are called in the new group.
    """
    desk = group.desk
    await _require_unknown(desk, new)
    with ExitStack() as opened:
        contents = (await _open(group, name, opened)).renamed(members)
        await asyncio.to_thread(clone_members, contents, desk.pool, new)
        return await _adopt(desk, contents.header.adopted(new), pending=True)


async def export(group: LiveGroup, name: str) -> AsyncIterator[tuple[bytes, int, int]]:
    """An archive of the checkpoint in pieces, each with how much of how much is done."""
    with ExitStack() as opened:
        contents = await _open(group, name, opened)
        total_bytes = contents.size_bytes
        pieces = _Pieces()
        writing = asyncio.create_task(asyncio.to_thread(_write, contents, pieces))
        try:
            while (piece := await pieces.next()) is not None:
                yield piece[0], piece[1], max(total_bytes, piece[1])
        finally:
            pieces.cancelled = True
            await writing


async def import_(desk: Desk, data: AsyncIterator[bytes], new: str) -> GroupCheckpoint:
    """Makes a group of an archive; `new` empty: under the name that it has there."""
    source = _Source()
    feeding = asyncio.create_task(_feed(data, source))
    try:
        archive = await asyncio.to_thread(Archive, source)
        name = check_label("group", new or archive.header.checkpoint.group)
        await _require_unknown(desk, name)
        checkpoint = await asyncio.to_thread(archive.unpack, desk.pool, name)
    finally:
        source.closed = True
        feeding.cancel()
    return await _adopt(desk, checkpoint, pending=False)


def forget_interrupted(pool: Path) -> None:
    """What exports left that a service did not live to end."""
    shutil.rmtree(pool / _STAGING, ignore_errors=True)


async def _open(group: LiveGroup, name: str, opened: ExitStack) -> Contents:
    ledger, pool = group.desk.ledger, group.desk.pool
    if group.desk.replicas is not None:
        await group.desk.replicas.gather(await ledger.ask(ledger.catalog.find, group.name, name))
    staging = pool / _STAGING / uuid.uuid4().hex
    async with group.turn(settled=True):
        found = await ledger.ask(ledger.catalog.find, group.name, name)
        opening = open_contents(pool, found, staging)
        return await asyncio.to_thread(opened.enter_context, opening)


async def _require_unknown(desk: Desk, name: str) -> None:
    try:
        await desk.ledger.ask(desk.ledger.catalog.group, name)
    except NotFoundError:
        return
    raise group_taken(name)


async def _adopt(desk: Desk, checkpoint: GroupCheckpoint, *, pending: bool) -> GroupCheckpoint:
    ledger = desk.ledger
    if desk.mesh is not None:
        here = (replace(part, node=desk.mesh.name) for part in checkpoint.members)
        checkpoint = replace(checkpoint, members=tuple(here), replicas=0)
    programs = any(part.engine is EngineKind.PROCESS for part in checkpoint.members)
    try:
        await ledger.ask(ledger.catalog.adopt, checkpoint, pending=pending and programs)
    except FileExistsError:
        # Another node was quicker with the name; what was made here belongs to nobody.
        for part in checkpoint.members:
            await asyncio.to_thread(remove_member, desk.pool, checkpoint.group, part.member)
        raise
    return checkpoint


# ---- between the event loop and the thread ----


class _NobodyReads(Exception):
    """The export was given up."""


class _Pieces:
    """What the thread writes and the event loop reads."""

    def __init__(self) -> None:
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[bytes, int] | Exception | None] = asyncio.Queue(
            _QUEUE_CHUNKS
        )
        self._done_bytes = 0

    async def next(self) -> tuple[bytes, int] | None:
        piece = await self._queue.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def told(self, done_bytes: int) -> None:
        self._done_bytes = done_bytes

    def write(self, data: bytes, /) -> int:
        self.put((data, self._done_bytes))
        return len(data)

    def put(self, piece: tuple[bytes, int] | Exception | None) -> None:
        putting = asyncio.run_coroutine_threadsafe(self._queue.put(piece), self._loop)
        while True:
            try:
                putting.result(0.1)
                return
            except TimeoutError:
                if self.cancelled:
                    putting.cancel()
                    raise _NobodyReads from None


def _write(contents: Contents, pieces: _Pieces) -> None:
    end: Exception | None = None
    with suppress(_NobodyReads):
        try:
            write_archive(contents, pieces, pieces.told)
        except _NobodyReads:
            return
        except Exception as error:
            end = error
        pieces.put(end)


class _Source:
    """What the event loop gets and the thread reads."""

    def __init__(self) -> None:
        self.closed = False
        self.queue: queue.Queue[bytes | Exception] = queue.Queue(_QUEUE_CHUNKS)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            piece = self.queue.get()
            if isinstance(piece, Exception):
                raise piece
            self._rest = piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def put(self, piece: bytes | Exception) -> None:
        while not self.closed:
            try:
                self.queue.put(piece, timeout=0.1)
                return
            except queue.Full:
                continue


async def _feed(data: AsyncIterator[bytes], source: _Source) -> None:
    end: bytes | Exception = b""
    try:
        async for piece in data:
            if piece:
                await asyncio.to_thread(source.put, piece)
    except asyncio.CancelledError:
        end = AbortedError("nobody sends the archive any more")
        raise
    except Exception as error:
        end = AbortedError(f"the archive did not arrive whole: {error}")
    finally:
        source.put(end)
