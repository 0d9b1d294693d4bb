"""The program and its first process: what an unmodified program runs under.

A small process of ours is number 1 of the program's namespaces. It starts the program, is the
parent of whatever CRIU restores, collects the dead, and stays outside of the program's freezer.
It is also the watchdog: when the shim is gone, however it went, it thaws and ends everything, so
that nobody stays frozen behind a dead supervisor.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from mmsnap.errors import MmsnapError
from mmsnap.process.first import Exited, Started
from mmsnap.process.freezer import Freezer
from mmsnap.process.namespaces import adopt_orphans, leave_namespaces, own_mounts
from mmsnap.process.network_lock import NetworkLock

_MESSAGE_MAX_BYTES: Final = 1 << 18
_DONE: Final = b"done"
_LAST_PID: Final = Path("/proc/sys/kernel/ns_last_pid")
_NO_SUCH_PROGRAM: Final = 127
_NOT_EXECUTABLE: Final = 126
_JOIN: Final = 'echo 0 > "$0" && exec "$@"'


class FirstProcess:
    """The first process, seen from the shim. To be made before any thread is started."""

    def __init__(self, freezer: Freezer, lock: NetworkLock, outputs: tuple[int, int]) -> None:
        """`outputs`: the descriptors of the program's standard output and error."""
        adopt_orphans()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._numbering, numbered = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        between = os.fork()
        if between == 0:
            self._line.close()
            self._numbering.close()
            first = _First(freezer, lock, outputs, theirs, numbered)
            _become_parent_of_first(first, theirs)
        theirs.close()
        numbered.close()
        _, status = os.waitpid(between, 0)
        told = self._line.recv(_MESSAGE_MAX_BYTES) if status == 0 else b""
        if not told:
            raise MmsnapError(
                "the program's namespaces could not be made", hint="it needs root and CAP_SYS_ADMIN"
            )
        self.pid: int = json.loads(told)["pid"]

    def fileno(self) -> int:
        """Readable when `hear` has something to tell."""
        return self._line.fileno()

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
        """Starts the program; `Started` follows."""
        order = {"command": list(command), "environment": dict(environment), "folder": folder}
        encoded = json.dumps(order).encode()
        if len(encoded) > _MESSAGE_MAX_BYTES:
            raise ValueError("the program's arguments and environment are too long")
        self._line.send(encoded)

    def signal(self, pid: int, number: int) -> None:
        """Sends a signal to a process by its number inside the namespaces."""
        self._line.send(json.dumps({"signal": number, "pid": pid}).encode())

    def hear(self) -> Started | Exited | None:
        """The next news; None when the first process itself is gone."""
        told = self._line.recv(_MESSAGE_MAX_BYTES)
        if not told:
            return None
        news: dict[str, int] = json.loads(told)
        if "started" in news:
            return Started(news["started"])
        return Exited(news["exited"], news["status"])

    def number_next(self, last_pid: int) -> None:
        """The next process of the namespaces gets a number above this one; OSError.

        May be called beside all else: it has a line of its own.
        """
        self._numbering.send(str(last_pid).encode())
        told = self._numbering.recv(_MESSAGE_MAX_BYTES)
        if told != _DONE:
            raise OSError(told.decode() or "the first process is gone")

    def within(self, command: Sequence[str], freezer_procs: Path | None = None) -> list[str]:
        """What runs a command in its process ids and mounts, see `First.within`.

        Not in its IPC namespace: System V memory is a part of the program.
        """
        entered = ["nsenter", f"--target={self.pid}", "--pid", "--mount", "--", *command]
        if freezer_procs is None:
            return entered
        return ["sh", "-c", _JOIN, str(freezer_procs), *entered]

    def replacing(self) -> None:
        """Whose end is whose is the shim's to know here."""

    def replaced(self, root_pid: int) -> None:
        """The same."""

    def end(self) -> None:
        """Ends it and everything in its namespaces."""
        self._line.close()
        self._numbering.close()
        # It ends when everything in its namespaces is gone and collected; and of a CRIU whose
        # parent was killed, the parent is this process by now.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0] != self.pid:
                pass


# ---- in the other processes ----


def _become_parent_of_first(first: _First, line: socket.socket) -> NoReturn:
    """Between the shim and the first process: only a child can be in new namespaces."""
    try:
        leave_namespaces()
        pid = os.fork()
        if pid:
            line.send(json.dumps({"pid": pid}).encode())
            os._exit(0)
        own_mounts()
        first.run()
    except BaseException as error:
        print(f"mmsnap: {error}", file=sys.stderr)  # noqa: T201
    os._exit(1)


class _First:
    """Process number 1. Single-threaded; ends with its line."""

    def __init__(
        self,
        freezer: Freezer,
        lock: NetworkLock,
        outputs: tuple[int, int],
        line: socket.socket,
        numbering: socket.socket,
    ) -> None:
        self._freezer = freezer
        self._lock = lock
        self._outputs = outputs
        self._line = line
        self._numbering = numbering

    def run(self) -> NoReturn:
        os.setsid()
        # What the terminal or a service sends is for the shim, which passes it on as it sees fit.
        self._unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        self._wakeup, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        while True:
            sources: list[socket.socket | int] = [self._line, self._numbering, self._wakeup]
            ready, _, _ = select.select(sources, [], [])
            if self._wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
                self._collect()
            if self._numbering in ready:
                self._number_next()
            if self._line in ready:
                order = self._line.recv(_MESSAGE_MAX_BYTES)
                if not order:
                    self._give_up()
                self._obey(json.loads(order))

    def _obey(self, order: dict[str, Any]) -> None:
        if "signal" in order:
            with contextlib.suppress(ProcessLookupError):
                os.kill(order["pid"], order["signal"])
            return
        pid = os.fork()
        if pid == 0:
            _become_program(
                order, self._outputs, lambda: self._freezer.procs.write_text("0"), self._unblocked
            )
        self._line.send(json.dumps({"started": pid}).encode())

    def _number_next(self) -> None:
        last_pid = self._numbering.recv(_MESSAGE_MAX_BYTES)
        if not last_pid:
            return  # so has the other line, which is looked at next
        try:
            _LAST_PID.write_bytes(last_pid)
            answer = _DONE
        except OSError as error:
            answer = f"{_LAST_PID}: {error.strerror}".encode()
        self._numbering.send(answer)

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._line.send(json.dumps({"exited": pid, "status": status}).encode())

    def _give_up(self) -> NoReturn:
        """The shim is gone. Killed processes of a frozen cgroup v1 die only when it is thawed."""
        with contextlib.suppress(OSError):
            self._freezer.kill()
        with contextlib.suppress(MmsnapError):
            self._lock.remove_leftover()
        os._exit(0)


def _become_program(
    order: dict[str, Any],
    outputs: tuple[int, int],
    enter: Callable[[], Any],
    unblocked: set[signal.Signals | int],
) -> NoReturn:
    code = 1
    try:
        enter()
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        # Opened here, in the program's own mounts: CRIU knows no others.
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, *outputs)):
            os.dup2(source, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(order["folder"])
        os.execvpe(order["command"][0], order["command"], order["environment"])
    except FileNotFoundError:
        code = _NO_SUCH_PROGRAM
        os.write(2, f"mmsnap: {order['command'][0]}: no such program\n".encode())
    except PermissionError:
        code = _NOT_EXECUTABLE
        os.write(2, f"mmsnap: {order['command'][0]}: not executable\n".encode())
    except BaseException as error:
        os.write(2, f"mmsnap: {order['command'][0]}: {error}\n".encode())
    os._exit(code)
