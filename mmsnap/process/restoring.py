"""Putting a program back from its part of a checkpoint, stopped until it is let go.

The old processes are gone by now. Files are put back first, then a copy of the images is made in
which connections to the outside are closed and addresses are as they are to be; all else in it
are links to the images themselves, which are never changed.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError
from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process import image_file, trees
from mmsnap.process.connections import (
    CLOSED,
    image_address,
    image_connection,
    image_words,
)
from mmsnap.process.criu import Criu, Running
from mmsnap.process.first import First
from mmsnap.process.freezer import Freezer
from mmsnap.process.manifest import Manifest, Part
from mmsnap.process.numbers import await_free
from mmsnap.process.whereabouts import Moves

_LOG: Final = "restore.log"
_PID_LIMIT: Final = 1 << 22  # PID_MAX_LIMIT of the kernel


def restore(
    criu: Criu,
    part: Part,
    manifest: Manifest,
    *,
    freezer: Freezer,
    first: First,
    outputs: tuple[int, int],
    moves: Moves,
) -> int:
    """Restores the program under its first process, all of it stopped.

    Args:
        outputs: descriptors of the pipes that are its standard output and error from now on.
        moves: where its sockets will be.

    Returns:
        How many connections to the outside were closed.

    Raises:
        CriuError: it failed; what had come to be was ended by CRIU.
        MmsnapError: files could not be put back.
    """
    trees.put_back(manifest.trees, part.trees)
    work = part.folder.with_name(f"{part.epoch}.restoring")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    outer_count = _prepare(part.images, work, moves)
    await_free(numbers_of(image_file.tasks(part.images)), first.pid)
    _leave_room_for_criu(part.images, first)
    inherited = [
        f"--inherit-fd=fd[{fd}]:pipe:[{inode}]"
        for fd, inode in zip(outputs, manifest.outputs, strict=True)
    ]
    command = [
        *criu.criu.command,
        "restore",
        f"--images-dir={work}",
        f"--log-file={_LOG}",
        "--restore-detached",
        "--leave-stopped",
        "--tcp-established",
        "--manage-cgroups=ignore",
        "--file-locks",
        "--ext-unix-sk",
        "--link-remap",
        "-v1",
        *dict.fromkeys(inherited),
    ]
    entered = first.within(command, freezer.procs)
    Running(entered, work / _LOG, "the restore", pass_fds=outputs).wait()
    shutil.rmtree(work, ignore_errors=True)
    return outer_count


def let_go(freezer: Freezer) -> None:
    """The stopped processes run."""
    for pid in freezer.pids():
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def numbers_of(tasks: Sequence[pb.TaskEntry]) -> set[int]:
    """What its processes are called, and whom CRIU makes for a moment: leaders that had ended.

    A session or a group that the program was in from the start is not its own; it joins that which
    its first process is in now.
    """
    own = {number for task in tasks for number in (task.pid, *task.threads)}
    led = {number for task in tasks for number in (task.session, task.process_group)}
    root = next(task for task in tasks if not task.parent_pid)
    return own | led - {0, root.session, root.process_group}


def _leave_room_for_criu(images: Path, first: First) -> None:
    """CRIU runs in the program's namespaces, and must not take a process id that it restores."""
    highest = highest_pid(images)
    try:
        first.number_next(highest)
    except OSError as error:
        raise MmsnapError(
            f"process ids can not be chosen from {highest} on: {error}",
            hint="the kernel needs /proc/sys/kernel/ns_last_pid (CONFIG_CHECKPOINT_RESTORE)",
        ) from error


def highest_pid(images: Path) -> int:
    """The highest process or thread id of the tasks in a dump.

    Of a zombie CRIU writes a thread id that it never read: what no kernel gives is left out.
    """
    tasks = image_file.tasks(images)
    ids = [number for task in tasks for number in (task.pid, *task.threads)]
    return max(number for number in ids if number < _PID_LIMIT)


def _prepare(images: Path, work: Path, moves: Moves) -> int:
    """Returns how many connections are closed, those that are not inner."""
    for file in images.iterdir():
        if file.name != "files.img" and file.suffix != ".log":
            (work / file.name).symlink_to(file)
    entries = image_file.files(images)
    outer = set()
    for entry in entries:
        if not entry.HasField("inet"):
            continue
        connection = image_connection(entry)
        there = moves.inner.get(connection) if connection is not None else None
        if there is not None:
            _put(entry.inet, there.local.address, there.remote.address)
            continue
        if connection is not None:
            outer.add(connection)
            _close(entry.inet)
        source = image_address(entry.inet.source_address)
        destination = image_address(entry.inet.destination_address)
        _put(
            entry.inet,
            moves.own.get(source, source),
            moves.group.get(destination, destination),
        )
    image_file.rewrite(images / "files.img", work / "files.img", entries)
    return len(outer)


def _put(inet: pb.InetSocket, source: str, destination: str) -> None:
    for words, address in (
        (inet.source_address, source),
        (inet.destination_address, destination),
    ):
        if image_address(words) != address:
            words[:] = image_words(address, words)


def _close(inet: pb.InetSocket) -> None:
    """As if it had never been connected; reading from it fails, and waiting for it ends."""
    inet.state = CLOSED
    inet.source_port = inet.destination_port = 0
    inet.ClearField("shutdown")
