"""Taking a held program's part of a checkpoint: CRIU's images, and files that belong to it.

`Capture` is what happens while everything stands still, `seal` what follows when it runs again.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError
from mmsnap.process import addresses, connections, image_file, open_files, pages, trees
from mmsnap.process.connections import LISTENING, Connection
from mmsnap.process.criu import Criu, CriuError, Running
from mmsnap.process.first import First
from mmsnap.process.freezer import Freezer
from mmsnap.process.holding import Hold
from mmsnap.process.image_stream import ImageStream
from mmsnap.process.manifest import Manifest, Part
from mmsnap.process.reserve import Reserve
from mmsnap.process.sockets import end_repair

log = logging.getLogger(__name__)

_LOG: Final = "dump.log"
_CHAIN_MAX: Final = 16
_GHOST_LIMIT_BYTES: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Subject:
    """The program that is captured.

    Attributes:
        first: of its namespaces.
        root_pid: its own, inside its namespaces.
        outputs: inodes of the pipes of its standard output and error.
        captured: paths that belong to its checkpoints.
    """

    first: First
    root_pid: int
    outputs: tuple[int, int]
    command: tuple[str, ...]
    captured: tuple[str, ...]


class Capture:
    """One program at one cut. Run it while the program is held; seal it afterwards."""

    def __init__(
        self,
        criu: Criu,
        freezer: Freezer,
        hold: Hold,
        subject: Subject,
        part: Part,
        reserve: Reserve,
        inner: Iterable[Connection],
    ) -> None:
        """`inner`: the connections of which somebody in the group has the other end."""
        self._criu = criu
        self._freezer = freezer
        self._hold = hold
        self._subject = subject
        self._part = part
        self._inner = frozenset(inner)
        self._helpers = ThreadPoolExecutor(2)
        self._stream = ImageStream(
            part.images,
            reserve,
            process_count=len(freezer.pids()),
            sockets_taken=lambda: self._helpers.submit(self._let_others_speak),
        )

    def run(self) -> None:
        """Dumps and copies files, at the same time; CriuError, MmsnapError. Then still held."""
        self._part.create()
        pids = self._freezer.pids()
        subject = self._subject
        self._stream.start()
        # CRIU may have other mounts than this process: it finds the cgroup by a descriptor.
        cgroup = os.open(self._freezer.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        dump = Running(
            self._dump_command(cgroup), self._part.images / _LOG, "the dump", pass_fds=(cgroup,)
        )
        os.close(cgroup)
        with self._helpers:
            # Whatever fails here, CRIU is waited for: nobody may thaw what it is dumping.
            try:
                shared_memory = open_files.shared_memory_files(pids)
                copying = self._helpers.submit(
                    trees.capture, (*subject.captured, *shared_memory), self._part.trees
                )
                self._written = open_files.written_files(pids, subject.captured)
                self._mapped = open_files.mapped_files(pids)
            finally:
                self._wait(dump)
            self._trees = copying.result()

    def make_fail(self) -> None:
        """Lets a dump that takes too long give up, and put the network and the tasks back."""
        self._stream.abort()

    @property
    def size_bytes(self) -> int:
        """The memory that was copied."""
        return self._stream.size_bytes

    def abandon(self) -> None:
        """The part will not be sealed: gives back what it has of memory."""
        self._stream.settle()

    def _let_others_speak(self) -> None:
        """What comes from outside waits in the program's sockets from now on, instead of being lost
        and sent again much later: a restore closes those, so nobody needs to know when it came."""
        try:
            self._hold.silence_only(self._inner)
        except MmsnapError as error:
            log.warning("connections to the outside are silent for longer: %s", error)

    def _wait(self, dump: Running) -> None:
        try:
            dump.wait()
        except CriuError as error:
            # One that failed by itself has cleaned up; one that was killed could not.
            freed = end_repair(self._freezer.pids())
            if freed:
                log.warning("%d connections were left in repair by CRIU, and set free", freed)
            # A child of it may have outlived it, with pipes that would never end.
            self._stream.abort()
            # CRIU also fails when its images can not be taken: then that is the reason.
            raise self._stream.finish() or error from None
        reason = self._stream.finish()
        if reason is not None:
            raise reason

    def seal(self, parent: Part | None) -> Manifest:
        """While the program runs: takes out what the parent has, and writes the manifest."""
        images = self._part.images
        self._stream.settle()
        total = stored = 0
        if parent is not None and parent.exists and _chain_length(parent.images) < _CHAIN_MAX:
            total, stored = pages.take_out_unchanged(images, parent.images)
        else:
            total = stored = pages.count(images)
            parent = None
        _note_processor(self._criu, images)
        _keep_private(self._part.folder)
        listening = {
            (s.connection.local.address, s.connection.local.port)
            for s in self._hold.sockets
            if s.state == LISTENING
        }
        used = {
            connections.image_address(entry.inet.source_address)
            for entry in image_file.files(images)
            if entry.HasField("inet")
        }
        manifest = Manifest(
            epoch=self._part.epoch,
            root_pid=self._subject.root_pid,
            outputs=self._subject.outputs,
            kernel=os.uname().release,
            criu_version=".".join(map(str, self._criu.version)),
            command=self._subject.command,
            listening=tuple(sorted(listening)),
            addresses=tuple(a for a in addresses.present() if a.address in used),
            written=tuple(self._written),
            mapped=tuple(self._mapped),
            trees=self._trees,
            parent=parent.epoch if parent is not None and stored < total else 0,
            checksums=self._part.measure(),
            pages_total=total,
            pages_stored=stored,
        )
        self._part.seal(manifest)
        return manifest

    def _dump_command(self, cgroup: int) -> list[str]:
        command = [
            *self._criu.criu.command,
            "dump",
            f"--tree={self._subject.root_pid}",
            f"--images-dir={self._stream.folder}",
            "--stream",
            f"--log-file={_LOG}",
            f"--freeze-cgroup=/proc/self/fd/{cgroup}",
            f"--ghost-limit={_GHOST_LIMIT_BYTES}",
            "--leave-running",
            "--tcp-established",
            "--skip-in-flight",
            "--network-lock=skip",  # held by us, for the whole group and longer
            "--manage-cgroups=ignore",
            "--file-locks",
            "--ext-unix-sk",
            "--link-remap",
            "-v1",
        ]
        return self._subject.first.within(command)


def _chain_length(images: Path) -> int:
    length = 1
    while (images / "parent").is_symlink():
        images = (images / "parent").resolve()
        length += 1
    return length


def _note_processor(criu: Criu, images: Path) -> None:
    """What the processor can do, for the check before a restore on another one."""
    _quietly([*criu.criu.command, "cpuinfo", "dump", f"--images-dir={images}"])


def _quietly(command: Sequence[str]) -> None:
    subprocess.run(command, capture_output=True, check=False, start_new_session=True)


def _keep_private(folder: Path) -> None:
    """Memory holds secrets: what CRIU wrote for all to read is for the owner only."""
    for file in (folder / "images").iterdir():
        if not file.is_symlink():
            file.chmod(0o600)
