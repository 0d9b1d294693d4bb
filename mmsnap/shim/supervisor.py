"""The shim as a process: its parts put together, one loop, one exit code.

The order matters: the first process is forked before any thread exists; the program is started
only when the service has said that it is not to be restored instead.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from mmsnap.errors import AbortedError, MmsnapError
from mmsnap.group.messages import Bye, Hello, Report, Welcome
from mmsnap.node.packets import SIZE_BYTES, encode_report
from mmsnap.process.criu import find
from mmsnap.process.engine import Engine, Place, require_root
from mmsnap.process.first import Exited, First, Started
from mmsnap.process.freezer import make_freezer
from mmsnap.process.network_lock import NetworkLock
from mmsnap.process.parts import tidy
from mmsnap.process.program import FirstProcess
from mmsnap.process.trees import require_trees
from mmsnap.profiles import Profile
from mmsnap.shim import packets
from mmsnap.shim.member import Phase, ProgramMember
from mmsnap.shim.naming import name_here
from mmsnap.shim.outputs import Outputs
from mmsnap.shim.work import Work
from mmsnap_sdk import calls
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import Admission, Application

log = logging.getLogger(__name__)

_FORWARDED: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_SIGNALLED: Final = 128  # shells add the signal's number to it
_RETRY_SECONDS: Final = 0.5
_SWITCH_INTERVAL_SECONDS: Final = 0.0001


@dataclass(frozen=True, slots=True)
class Order:
    """What `mmsnap run` was asked to run."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    application: Application
    address: str
    profile: Profile
    captured: tuple[str, ...] = ()


def supervise(order: Order) -> int:
    """Runs the program to its end as a member; returns the exit code to end with.

    Raises:
        UnsupportedError: without root, a CRIU that works, or a cgroup freezer.
        AgentUnavailableError, InUseError: as of attaching.
        AbortedError: a restore failed, and no program is left.
    """
    require_root("mmsnap run --engine process")
    criu = find()
    captured = require_trees(order.captured)
    application = order.application
    name = name_here(application.group, application.member, order.address)
    freezer = make_freezer(name)
    outputs = Outputs()
    lock = NetworkLock(criu, name)
    lock.remove_leftover()
    first = FirstProcess(freezer, lock, outputs.writers)
    try:
        client = Client(order.address)
        admission = client.ask(calls.attach(application))
        place = Place(admission.pool, application.group, application.member)
        tidy(place.folder, admission.committed_epochs)
        engine = Engine(
            place, criu, freezer, lock, first, outputs.writers, _pair(outputs.inodes), captured
        )
    except BaseException:
        first.end()
        freezer.remove()
        raise
    # In the cut a thread copies memory beside those that read /proc: it must not wait for them.
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    outputs.start()
    shim = Shim(order, first, engine, client, admission)
    try:
        return shim.run()
    finally:
        engine.end()
        outputs.finish()
        client.close()


class _Aside(IntEnum):
    """Whether the program is a member without its shim."""

    NO = 0
    WANTED = 1
    YES = 2


class Shim:
    """The loop of a member that is a program. Of one thread; what takes long is given to `Work`."""

    def __init__(
        self,
        order: Order,
        first: First,
        engine: Engine,
        client: Client,
        admission: Admission,
        *,
        in_front: bool = True,
    ) -> None:
        """`in_front`: signals come here, and are the program's. (In a pod it gets them itself.)"""
        self._order = order
        self._in_front = in_front
        self._aside = _Aside.NO
        self._first = first
        self._engine = engine
        self._client = client
        self._admission = admission
        self._line: socket.socket | None = None
        self._work = Work()
        self._member = ProgramMember(engine, order.profile, self._work, self._report, self._fall)
        self._exit_code: int | None = None
        self._fallen = ""
        self._next_try = 0.0
        self._selector = selectors.DefaultSelector()
        self._signals, self._signals_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Until the program ends."""
        self._catch_signals()
        listeners: tuple[tuple[object, Callable[[], None]], ...] = (
            (self._first, self._hear_first),
            (self._work, self._work.finish),
            (self._signals, self._pass_signals_on),
        )
        for source, hear in listeners:
            self._selector.register(source, selectors.EVENT_READ, hear)  # type: ignore[arg-type]
        self._join(self._admission)
        while self._exit_code is None and not self._fallen:
            for key, _ in self._selector.select(self._patience()):
                # What was heard before it may have hung up the line that also had something.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._member.let_time_pass()
            self._stand_aside()
            self._come_back()
        self._leave()
        if self._fallen:
            raise AbortedError(
                self._fallen,
                subject=self._order.application.member,
                hint="start it again: if a restore is pending, it waits for it",
            )
        assert self._exit_code is not None
        return self._exit_code

    # ---- the service ----

    def _join(self, admission: Admission) -> None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.connect(admission.socket)
        self._token = admission.token
        self._line = line
        self._selector.register(line, selectors.EVENT_READ, self._hear_service)
        self._report(Hello(os.getpid(), self._member.in_doubt, 0))

    def _hear_service(self) -> None:
        assert self._line is not None
        try:
            packet = self._line.recv(SIZE_BYTES + 1)
        except OSError:
            packet = b""
        if not packet:
            self._hang_up()
            self._member.abandoned()
            if not self._engine.root_pid and not self._fallen:
                self._fall("the restore did not happen; the service's log says why")
            return
        order = packets.decode(packet)
        if isinstance(order, Welcome):
            self._welcome()
        else:
            self._member.obey(order)

    def _welcome(self) -> None:
        if self._engine.root_pid:
            return
        if self._admission.restore_pending:
            log.info("waiting to be restored with the rest of the group")
            return
        self._engine.start(self._order.command, self._order.environment, os.getcwd())

    def _report(self, report: Report) -> None:
        if self._line is None:
            return
        try:
            self._line.send(encode_report(report, self._token))
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._selector.unregister(self._line)
            self._line.close()
            self._line = None
            log.warning("lost the node service, looking for it; the program runs on")

    def _come_back(self) -> None:
        """Attach again; not while the program stands still, which only the lease ends then."""
        if self._line is not None or time.monotonic() < self._next_try or self._aside:
            return
        self._next_try = time.monotonic() + _RETRY_SECONDS
        if self._member.phase is not Phase.IDLE or self._exit_code is not None:
            return
        followed = self._member.followed_restore_epoch
        if followed is None:
            followed = self._admission.restore_epoch
        resuming = replace(
            self._order.application,
            followed_restore_epoch=followed,
            incarnation=self._admission.incarnation,
        )
        try:
            self._join(self._client.ask(calls.attach(resuming)))
        except (MmsnapError, OSError) as error:
            log.debug("not attached again: %s", error)

    def _leave(self) -> None:
        """A program that ended well leaves its group; one that did not is lost to it."""
        if self._exit_code == 0:
            self._report(Bye())
        self._work.close()
        if self._line is not None:
            self._line.close()

    def _stand_aside(self) -> None:
        """The program is a member by itself: all that is left to do is to be there at its end."""
        if self._aside is _Aside.WANTED and self._member.phase is Phase.IDLE:
            self._aside = _Aside.YES
            self._report(Bye())
            if self._line is not None:
                self._selector.unregister(self._line)
                self._line.close()
                self._line = None
            log.info("the program attached by itself: standing aside")

    # ---- the program ----

    def _hear_first(self) -> None:
        news = self._first.hear()
        if news is None:
            self._fall("the first process of the program's namespaces ended")
        elif isinstance(news, Started):
            self._engine.root_pid = news.pid
        elif self._is_end(news):
            code = os.waitstatus_to_exitcode(news.status)
            self._exit_code = code if code >= 0 else _SIGNALLED - code

    def _is_end(self, news: Exited) -> bool:
        """The program itself ended, and not because a restore ends it."""
        return news.pid == self._engine.root_pid and self._member.phase is not Phase.RESTORING

    def _fall(self, reason: str) -> None:
        self._fallen = self._fallen or reason

    # ---- signals and time ----

    def _catch_signals(self) -> None:
        for number in _FORWARDED:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._signals_writer, warn_on_full_buffer=False)

    def _pass_signals_on(self) -> None:
        for number in os.read(self._signals, 4096):
            if not self._in_front:
                if number == signal.SIGTERM and self._aside is _Aside.NO:
                    self._aside = _Aside.WANTED
            elif number in _FORWARDED and self._engine.root_pid:
                self._engine.signal(number)
            elif number in (signal.SIGINT, signal.SIGTERM):
                self._exit_code = _SIGNALLED + number  # nothing runs that could be told

    def _patience(self) -> float | None:
        waits = [self._member.lease.left_seconds]
        if self._line is None and not self._aside:
            waits.append(_RETRY_SECONDS)
        known = [wait for wait in waits if wait is not None]
        return min(known) if known else None


def _pair(inodes: tuple[int, ...]) -> tuple[int, int]:
    first, second = inodes
    return first, second


def log_to_stderr() -> None:
    """The shim's own words, apart from the program's."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="mmsnap: %(message)s")
