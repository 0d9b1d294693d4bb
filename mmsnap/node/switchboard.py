"""The members' socket and the thread that owns it.

A cut must wait for nobody's gRPC call: so the members' lines and the operations
under way live on a thread of their own, with its own selector, and the service
speaks to it by posting functions. The switch interval of the interpreter and
the garbage collector are kept out of the cut too (see docs/decisions/cut-thread.md).
It knows lines and tokens; groups and policies are the service's.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from mmsnap.group.messages import (
    Bye,
    Done,
    EpochReport,
    Failed,
    Hello,
    Kind,
    Order,
    Report,
)
from mmsnap.node.conductor import Conductor
from mmsnap.node.doors import Door
from mmsnap.node.lines import Line
from mmsnap.node.link import Link
from mmsnap.node.packets import encode
from mmsnap.node.relay import Relay

log = logging.getLogger(__name__)

LINES_MAX: Final = 4096
# Through a door that others than this service's user can reach.
DOOR_LINES_MAX: Final = 64
# How long a connection may stay without saying Hello.
HELLO_BUDGET_NS: Final = 10 * 10**9
_IDLE_SECONDS: Final = 1.0


class Exchange(Protocol):
    """What the switchboard tells the service; called on the switchboard's thread."""

    def greeted(self, token: int, hello: Hello, pid: int) -> None:
        """A process said Hello with this token."""

    def ended(self, token: int, said_bye: bool, reason: str, epoch: int) -> None:
        """The line of a token is gone; `epoch` is of the operation it was in, or 0."""

    def failed(self, token: int, report: Failed) -> None:
        """An order outside of any operation was not carried out."""

    def broke(self, error: Exception) -> None:
        """The switchboard itself failed and does nothing more; every member runs on."""


def boottime_ns() -> int:
    """The clock of leases and budgets: it goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Switchboard:
    """Lines by token, and the operations under way. Start it, post to it, stop it."""

    def __init__(self, path: Path, exchange: Exchange) -> None:
        self.path = path
        self._exchange = exchange
        self._lines: dict[int, Line] = {}
        self._strangers: set[Line] = set()
        self._ended: set[Line] = set()
        # Who hears of a token, and by what name it knows it.
        self._hearers: dict[int, tuple[Conductor, str] | tuple[Relay, int]] = {}
        self._running: set[Conductor] = set()
        self._links: dict[Link, bool] = {}  # whether it is asked when it has room again
        self._posted: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._doors: dict[Path, Door] = {}
        self._enter(Door(path, 0o600, LINES_MAX, trusted_only=True))
        self._stopping = False
        self._quiet = False
        self._thread = threading.Thread(target=self._run, name="switchboard", daemon=True)

    # ---- from any thread ----

    def start(self) -> None:
        self._thread.start()

    def post(self, function: Callable[[], None]) -> None:
        """Have `function` called on the switchboard's thread."""
        self._posted.append(function)
        os.eventfd_write(self._wake, 1)

    def order(self, token: int, order: Order) -> None:
        """Give an order outside of any operation; a line that is gone does not hear it."""

        def send() -> None:
            line = self.line(token)
            if line is not None:
                line.send(encode(order, token))

        self.post(send)

    def hang_up(self, token: int, reason: str) -> None:
        """End a line, if it stands."""

        def end() -> None:
            line = self.line(token)
            if line is not None:
                line.end(reason)

        self.post(end)

    def open_door(self, path: Path) -> None:
        """Let members in at another socket, whoever can reach it; its folder says who that is.

        Raises:
            OSError: there can be no socket of that path.
        """
        door = Door(path, 0o666, DOOR_LINES_MAX, trusted_only=False)
        self.post(lambda: self._enter(door))

    def close_door(self, path: Path) -> None:
        """Let nobody in there any more; those who are in stay."""
        self.post(lambda: self._leave(path))

    def stop(self) -> None:
        """End every line without a word; members run on and look for the service."""

        def end() -> None:
            for link in self._links:
                link.end("the service ends")
            self._stopping = True

        self.post(end)
        self._thread.join()
        for line in (*self._lines.values(), *self._strangers):
            line.close()
        for path in tuple(self._doors):
            self._leave(path)
            path.unlink(missing_ok=True)
        self._selector.close()
        os.close(self._wake)

    # ---- on the switchboard's thread ----

    def conduct(self, conductor: Conductor) -> None:
        """Begin an operation; its members must not be in another one."""
        self._running.add(conductor)
        for member, line in conductor.lines.items():
            self._hearers[line.token] = (conductor, member)
        conductor.start(boottime_ns())

    def relay(self, relay: Relay) -> None:
        """Begin to pass on for another node's operation."""
        for token in relay.lines:
            self._hearers[token] = (relay, token)

    def end_relay(self, relay: Relay) -> None:
        """It is over, or its coordinator is gone."""
        relay.abandon()
        for token, (hearer, _) in tuple(self._hearers.items()):
            if hearer is relay:
                del self._hearers[token]

    def join(self, link: Link) -> None:
        """Begin to hear another node, until its link breaks."""
        self._links[link] = False
        self._selector.register(link, selectors.EVENT_READ, link)
        link.receive()

    def hear_remote(self, token: int, report: Report) -> None:
        """What a member of another node says."""
        if token in self._hearers and not isinstance(report, (Hello, Bye)):
            self._tell(token, report)

    def lose_remote(self, token: int) -> None:
        """A member of another node is gone."""
        if token in self._hearers:
            self._tell(token, None)

    def answer(self, conductor: Conductor, accepted: bool, reason: str) -> None:
        """What the catalog said to an operation."""
        conductor.answer(accepted, boottime_ns(), reason)

    def line(self, token: int) -> Line | None:
        """The line of a token, while it stands."""
        line = self._lines.get(token)
        return line if line is not None and not line.broken else None

    # ---- the loop ----

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception as error:
            log.exception("the switchboard failed")
            self._exchange.broke(error)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            match key.data:
                case Door() as door:
                    self._accept(door)
                case Line() as line:
                    self._hear(line)
                case Link() as link:
                    link.receive()
                case _:
                    os.eventfd_read(self._wake)
        while self._posted:
            self._posted.popleft()()
        self._let_time_pass()
        self._sweep()
        self._await_room()
        self._keep_quiet()

    def _patience(self) -> float:
        deadlines = [c.operation.deadline_ns for c in self._running]
        nearest = min((d for d in deadlines if d is not None), default=None)
        if nearest is None:
            return _IDLE_SECONDS
        return min(max(nearest - boottime_ns(), 0) / 1e9, _IDLE_SECONDS)

    def _enter(self, door: Door) -> None:
        self._leave(door.path)
        self._doors[door.path] = door
        self._selector.register(door, selectors.EVENT_READ, door)

    def _leave(self, path: Path) -> None:
        door = self._doors.pop(path, None)
        if door is not None:
            self._selector.unregister(door)
            door.close()

    def _accept(self, door: Door) -> None:
        full = len(self._lines) + len(self._strangers) >= LINES_MAX
        line = door.accept(boottime_ns(), self._ended, full=full)
        if line is not None:
            self._strangers.add(line)
            self._selector.register(line, selectors.EVENT_READ, line)

    def _hear(self, line: Line) -> None:
        for report, packet in line.receive():
            if line in self._strangers:
                self._greet(line, report)
            else:
                self._take(line, report, packet)

    def _greet(self, line: Line, report: Report) -> None:
        if not isinstance(report, Hello) or not line.token or line.token in self._lines:
            line.end("did not begin with a Hello of its own")
            return
        self._strangers.discard(line)
        self._lines[line.token] = line
        self._exchange.greeted(line.token, report, line.peer.pid)

    def _take(self, line: Line, report: Report, packet: bytes) -> None:
        if isinstance(report, Bye):
            line.said_bye = True
            line.end("detached")
        elif isinstance(report, Hello):
            line.end("said Hello twice")
        elif line.token in self._hearers:
            self._tell(line.token, report, packet)
        elif isinstance(report, Failed) and report.order in (Kind.COMMIT, Kind.DELETE, Kind.PIN):
            self._exchange.failed(line.token, report)
        elif not isinstance(report, Done):
            log.debug("epoch %d: late %s", report.epoch, type(report).__name__)

    def _tell(self, token: int, report: EpochReport | None, packet: bytes = b"") -> int:
        """Tells whom it concerns, None: it is gone; returns the epoch of the operation."""
        now_ns = boottime_ns()
        match self._hearers[token]:
            case (Conductor() as hearer, str(member)):
                if report is None:
                    hearer.lose(member, now_ns)
                else:
                    hearer.receive(member, report, now_ns)
                return hearer.epoch
            case (Relay() as relay, _):
                if report is None:
                    relay.lose(token)
                else:
                    relay.receive(token, report, packet)
                return relay.epoch
        return 0

    def _let_time_pass(self) -> None:
        now_ns = boottime_ns()
        for conductor in tuple(self._running):
            deadline_ns = conductor.operation.deadline_ns
            if deadline_ns is not None and now_ns >= deadline_ns:
                conductor.tick(now_ns)
        for line in self._strangers:
            if now_ns - line.since_ns > HELLO_BUDGET_NS:
                line.end("said nothing")

    def _sweep(self) -> None:
        """Let go of broken lines and links, then of finished operations; one follows from another.

        What is to be said to other nodes goes out first.
        """
        while self._ended or self._flush():
            while self._ended:
                self._drop(self._ended.pop())
            for link in [link for link in self._links if link.broken]:
                self._selector.unregister(link)
                del self._links[link]
                link.close()
        for conductor in [c for c in self._running if c.finished]:
            self._running.discard(conductor)
            for line in conductor.lines.values():
                # The group's next operation may have begun since: it listens to the same lines.
                if self._hearers.get(line.token, (None, ""))[0] is conductor:
                    del self._hearers[line.token]

    def _flush(self) -> bool:
        """Whether a link is broken by now."""
        for link in self._links:
            link.flush()
        return any(link.broken for link in self._links)

    def _await_room(self) -> None:
        for link, awaited in self._links.items():
            if link.is_waiting is not awaited:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.is_waiting else 0)
                self._selector.modify(link, wanted, link)
                self._links[link] = link.is_waiting

    def _drop(self, line: Line) -> None:
        self._selector.unregister(line)
        line.close()
        if line in self._strangers:
            self._strangers.discard(line)
            log.warning("process %d: %s", line.peer.pid, line.broken)
            return
        del self._lines[line.token]
        epoch = self._tell(line.token, None) if line.token in self._hearers else 0
        self._exchange.ended(line.token, line.said_bye, line.broken, epoch)

    def _keep_quiet(self) -> None:
        """No garbage collection while somebody stands still."""
        held = any(conductor.operation.held for conductor in self._running)
        if held and not self._quiet:
            gc.disable()
        elif self._quiet and not held:
            gc.enable()
        self._quiet = held
