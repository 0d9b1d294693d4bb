"""Cuts members all at once, none waiting for another: what a group's barriers are held to.

It speaks the members' socket as a node does. When all have copied ahead, each is told to stand
still, to copy and to run on in one breath, so that its pause is that of its own scan and copy,
with whatever the machine has to give to all of them at that moment. Such cuts are no checkpoint of
a group.
"""

from __future__ import annotations

import selectors
import socket
import time
from pathlib import Path
from typing import Final, TypeVar

from mmsnap.group.messages import (
    Begin,
    Commit,
    Cut,
    Delete,
    Done,
    Failed,
    Hello,
    Order,
    Quiesce,
    Ready,
    Report,
    Resume,
    Sealed,
    Welcome,
)
from mmsnap.node.packets import SIZE_BYTES, decode, encode

_SECOND_NS: Final = 10**9
_PATIENCE_SECONDS: Final = 30.0
NOBODYS_EPOCH: Final = 1 << 40  # an order of it is refused at once, and changes nothing
Awaited = TypeVar("Awaited", bound=Report)


class Unbarred:
    """The members' socket, and whoever came to it, by token."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.settimeout(_PATIENCE_SECONDS)
        self._listener.bind(str(path))
        self._listener.listen()
        self._lines: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._epoch = 0

    def admit(self) -> None:
        """Waits for one more member."""
        line, _ = self._listener.accept()
        line.settimeout(_PATIENCE_SECONDS)
        token, hello = decode(line.recv(SIZE_BYTES))
        assert isinstance(hello, Hello)
        self._lines[token] = line
        self._selector.register(line, selectors.EVENT_READ, token)
        line.send(encode(Welcome(), token))

    def begin(self) -> None:
        """Lets all copy ahead, and waits for the last."""
        self._epoch += 1
        self._all(Begin(self._epoch, f"c{self._epoch}", False, _SECOND_NS), Ready)

    def cut(self) -> tuple[int, dict[int, Sealed]]:
        """Each stands still, copies and runs on: how long all take, and what each tells."""
        lease_ns = 2 * _SECOND_NS
        orders: tuple[Order, ...] = (
            Quiesce(self._epoch, lease_ns, _SECOND_NS),
            Cut(self._epoch, lease_ns, 0),
            Resume(self._epoch),
        )
        packets = {token: [encode(order, token) for order in orders] for token in self._lines}
        begun_ns = time.perf_counter_ns()
        for token, line in self._lines.items():
            for packet in packets[token]:
                line.send(packet)
        sealed = self._hear(Sealed)
        return time.perf_counter_ns() - begun_ns, sealed

    def commit(self) -> None:
        """Keeps it, and forgets the one before."""
        self._all(Commit(self._epoch), Done)
        if self._epoch > 1:
            self._all(Delete(self._epoch - 1), Done)

    def answer_ns(self, token: int) -> int:
        """How long a member takes to an order that it refuses: both ways of its own socket."""
        line, packet = self._lines[token], encode(Cut(NOBODYS_EPOCH, 0, 0), token)
        begun = time.perf_counter_ns()
        line.send(packet)
        answer = line.recv(SIZE_BYTES)
        took_ns = time.perf_counter_ns() - begun
        assert isinstance(decode(answer)[1], Failed)
        return took_ns

    def close(self) -> None:
        for line in (*self._lines.values(), self._listener):
            line.close()
        self._selector.close()

    def _all(self, order: Order, answer: type[Awaited]) -> None:
        for token, line in self._lines.items():
            line.send(encode(order, token))
        self._hear(answer)

    def _hear(self, wanted: type[Awaited]) -> dict[int, Awaited]:
        """The report of this type of every member; others on the way to it are let pass."""
        heard: dict[int, Awaited] = {}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(heard) < len(self._lines):
            for key, _ in self._selector.select(1.0):
                _, report = decode(self._lines[key.data].recv(SIZE_BYTES))
                if isinstance(report, Failed):
                    raise RuntimeError(f"a member failed: {report.reason}")
                if isinstance(report, wanted):
                    heard[key.data] = report
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {len(heard)} members said {wanted.__name__}")
        return heard
