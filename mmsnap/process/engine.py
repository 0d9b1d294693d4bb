"""One unmodified program and everything that can be done to it, in the order it must be done.

Blocking calls, made by one thread at a time; only `make_fail` may come from another. When and why
is decided by whoever calls (the shim, on the orders of the node service).
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.errors import (
    AbortedError,
    MmsnapError,
    PauseExceededError,
    PoolFullError,
    UnsupportedError,
)
from mmsnap.process import (
    addresses,
    connections,
    open_files,
    pages,
    preflight,
    privileges,
    restoring,
    trees,
)
from mmsnap.process.capture import Capture, Subject
from mmsnap.process.criu import Criu
from mmsnap.process.first import First
from mmsnap.process.freezer import Freezer
from mmsnap.process.holding import Hold
from mmsnap.process.manifest import Part, member_folder, members_with_part
from mmsnap.process.network_lock import NetworkLock
from mmsnap.process.reserve import Reserve
from mmsnap.process.sockets import reset_at_end
from mmsnap.process.whereabouts import (
    Moves,
    elsewhere,
    moves_of,
    of_member,
)

log = logging.getLogger(__name__)

_HELD_CONNECTIONS: Final = "held.json"
_END_SECONDS: Final = 10.0
# What no dump was ever quicker than, here; only the first estimate needs it.
_QUICKEST_BYTES_PER_SECOND: Final = 4 << 30
_ROOM_FACTOR: Final = 1.1


@dataclass(frozen=True, slots=True)
class Place:
    """Whose program it is, and where its parts are kept."""

    pool: Path
    group: str
    member: str

    @property
    def folder(self) -> Path:
        return member_folder(self.pool, self.group, self.member)


class Engine:
    """A program under its first process, held, captured and restored."""

    def __init__(
        self,
        place: Place,
        criu: Criu,
        freezer: Freezer,
        lock: NetworkLock,
        first: First,
        outputs: tuple[int, int],
        output_inodes: tuple[int, int],
        captured: tuple[str, ...],
    ) -> None:
        self._place = place
        self._criu = criu
        self._freezer = freezer
        self._first = first
        self._outputs = outputs
        self._output_inodes = output_inodes
        self._captured = captured
        self._hold = Hold(freezer, lock)
        self._reserve = Reserve(place.folder)
        self._capture: Capture | None = None
        self._parent: Part | None = None
        self._command: tuple[str, ...] = ()
        self._bytes_per_second = float(_QUICKEST_BYTES_PER_SECOND)
        self.root_pid = 0  # 0: no program
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        addresses.store(place.folder, addresses.present())

    # ---- running ----

    def start(self, command: tuple[str, ...], environment: Mapping[str, str], folder: str) -> None:
        """Starts the program; `Started` comes from the first process."""
        self._command = command
        self._first.start(command, environment, folder)

    def adopt(self, root_pid: int, command: tuple[str, ...]) -> None:
        """Takes on a program that runs already, or that others will start: 0."""
        self.root_pid = root_pid
        self._command = command

    def signal(self, number: int) -> None:
        """Passes a signal on to the program."""
        if self.root_pid:
            self._first.signal(self.root_pid, number)

    def end(self) -> None:
        """Ends whatever runs, and gives back what was taken of the machine.

        Its connections are reset: ends that nobody acknowledges would keep their ports for minutes,
        and the next restore in this network needs them.
        """
        self._hold.let_go()
        with reset_at_end(self._freezer.pids()):
            self._freezer.kill()
            try:
                self._freezer.wait_empty(_END_SECONDS)
            except TimeoutError as error:
                log.warning("%s", error)
        self._first.end()
        self._freezer.remove()
        self._reserve.release()
        (self._place.folder / _HELD_CONNECTIONS).unlink(missing_ok=True)
        addresses.forget(self._place.folder)

    # ---- a checkpoint ----

    def require_capturable(self, max_pause_ns: int = 0) -> int:
        """Whether a dump can work, asked while the program runs; how many pages it will have.

        Raises:
            UnsupportedError: the program holds what can not be dumped.
            PoolFullError: the pool has no room for it.
            PauseExceededError: it will take longer than that.
        """
        pids = self._freezer.pids()
        found = [*open_files.obstacles(pids), *privileges.out_of_reach(pids)]
        if found:
            raise UnsupportedError("; ".join(found), subject=self._place.member)
        memory = open_files.memory_of(pids)
        memory_bytes = sum(memory.values())
        needed_bytes = int(memory_bytes * _ROOM_FACTOR) + trees.size_bytes(self._captured)
        free_bytes = shutil.disk_usage(self._place.folder).free
        if needed_bytes > free_bytes:
            raise PoolFullError(
                f"it needs {needed_bytes} bytes and the pool has {free_bytes}",
                subject=self._place.member,
            )
        expected_ns = int(memory_bytes / self._bytes_per_second * 1e9)
        if max_pause_ns and expected_ns > max_pause_ns:
            raise PauseExceededError(
                f"the dump will take about {expected_ns / 1e6:.0f} ms", subject=self._place.member
            )
        try:
            self._reserve.fill(memory)
        except OSError as error:
            raise PoolFullError(str(error), subject=self._place.member) from error
        return memory_bytes // pages.PAGE_BYTES

    def hold(self, timeout_seconds: float) -> None:
        """Freezes the program and silences its connections, and tells the group of them."""
        self._hold.take(timeout_seconds)
        file = self._place.folder / _HELD_CONNECTIONS
        connections.store(file, self._hold.connections)

    @property
    def held_since_ns(self) -> int:
        """When the freeze began, by the monotonic clock."""
        return self._hold.since_ns

    def let_go(self) -> None:
        """The program runs on."""
        self._hold.let_go()

    def capture(self, epoch: int) -> None:
        """Dumps the held program; it is still held afterwards, also when this fails."""
        part = Part(self._place.folder, epoch)
        subject = Subject(
            first=self._first,
            root_pid=self.root_pid,
            outputs=self._output_inodes,
            command=self._command,
            captured=self._captured,
        )
        # Of members on other nodes nothing is known here, nor need be: the other end has a lock of
        # its own until its sockets were read, so both images are of one state of the connection.
        inner, _ = connections.split_inner(self._hold.connections, self._held_by_all())
        self._capture = Capture(
            self._criu, self._freezer, self._hold, subject, part, self._reserve, inner
        )
        begun = time.monotonic()
        self._capture.run()
        took = time.monotonic() - begun
        self._bytes_per_second = max(self._capture.size_bytes, 1 << 20) / took

    def make_fail(self) -> None:
        """Lets a dump that is under way give up."""
        if self._capture is not None:
            self._capture.make_fail()

    def seal(self, epoch: int) -> tuple[int, int]:
        """Completes the part while the program runs; returns pages and bytes that it stores."""
        assert self._capture is not None
        part = Part(self._place.folder, epoch)
        manifest = self._capture.seal(self._parent)
        self._capture = None
        self._reserve.release()
        return manifest.pages_stored, part.size_bytes()

    def committed(self, epoch: int) -> None:
        """The epoch exists: the next one stores only what differs from it."""
        self._parent = Part(self._place.folder, epoch)

    def discard(self, epoch: int) -> None:
        """The epoch will never be."""
        if self._capture is not None:
            self._capture.abandon()
            self._capture = None
        self._reserve.release()
        Part(self._place.folder, epoch).remove()

    # ---- a restore ----

    def reasons_against(self, epoch: int) -> list[str]:
        """Why a restore can not work here and now; empty: nothing is known."""
        part = Part(self._place.folder, epoch)
        if not part.exists:
            return [f"it has no part of @{epoch}"]
        told, now = addresses.load(self._place.folder), addresses.present()
        addresses.store(self._place.folder, now)
        if set(told) != set(now) and elsewhere(self._place.pool, self._place.group):
            return ["its addresses are others than the other nodes were told just now; try again"]
        try:
            self._moves(epoch)
        except MmsnapError as error:
            return [error.message]
        return preflight.reasons_against(self._criu, part, self._freezer.pids())

    def restore(self, epoch: int) -> int:
        """Ends what runs and restores the part, stopped and silent until `resume_restored`.

        Returns:
            How many connections to the outside were reset.
        """
        part = Part(self._place.folder, epoch)
        manifest = part.load()
        moves = self._moves(epoch)
        self._first.replacing()
        self._end_current(set(moves.inner.values()))
        self.root_pid = manifest.root_pid
        self._command = manifest.command
        reset_count = restoring.restore(
            self._criu,
            part,
            manifest,
            freezer=self._freezer,
            first=self._first,
            outputs=self._outputs,
            moves=moves,
        )
        self._first.replaced(self.root_pid)
        self._parent = part
        return reset_count

    def resume_restored(self) -> None:
        """What was restored runs, and its connections speak."""
        restoring.let_go(self._freezer)
        self._hold.let_go()

    def _end_current(self, restored: set[connections.Connection]) -> None:
        """Ends what runs: the outside hears of it, the group's other ends do not.

        Of those on other nodes it matters only where they are restored; else they are killed, too.
        """
        inner, _ = connections.split_inner(self._hold.connections, self._held_by_all())
        self._hold.silence_only(inner | restored)
        with reset_at_end(self._freezer.pids()):
            self._freezer.kill()
            self._hold.held = False
            try:
                self._freezer.wait_empty(_END_SECONDS)
            except TimeoutError as error:
                raise AbortedError(str(error), subject=self._place.member) from error

    def _moves(self, epoch: int) -> Moves:
        """Where the sockets of its part will be; MmsnapError when that can not be told."""
        pool, group = self._place.pool, self._place.group
        everybody = {other.member: other for other in elsewhere(pool, group)}
        for member in members_with_part(pool, group, epoch):
            # Of one that is elsewhere there may be a copy here.
            if member not in everybody:
                everybody[member] = of_member(pool, group, member, epoch)
        return moves_of(self._place.member, everybody.values())

    def _held_by_all(self) -> set[connections.Connection]:
        """What all members of the group were connected to when they were held."""
        folders = self._place.pool / "processes"
        files = folders.glob(f"{self._place.group}.*/{_HELD_CONNECTIONS}")
        return {connection for file in files for connection in connections.load(file)}


def require_root(what: str) -> None:
    """UnsupportedError unless this process may freeze, dump and restore others."""
    if os.geteuid() != 0:
        raise UnsupportedError(
            f"{what} needs root: it freezes, dumps and restores other processes",
            hint="run it with sudo; programs that use mmsnap.attach() need no root",
        )
