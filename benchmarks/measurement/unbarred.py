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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.group.messages import (
    Begin,
    Commit,
    Cut,
    CutDone,
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


@dataclass(frozen=True)
class UnbarredCut:
    """How long it took.

    Attributes:
        took_ns: from the first order until the last had copied.
        pauses_ns: the members' own, in the order in which they were admitted.
    """

    took_ns: int
    pauses_ns: list[int]


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

    def cut(self) -> UnbarredCut:
        """Each stands still, copies and runs on."""
        lease_ns = 2 * _SECOND_NS
        orders: tuple[Order, ...] = (
            Quiesce(self._epoch, lease_ns, _SECOND_NS),
            Cut(self._epoch, lease_ns, 0),
            Resume(self._epoch),
        )
        packets = {token: [encode(order, token) for order in orders] for token in self._lines}
        begun_ns = time.monotonic_ns()
        for token, line in self._lines.items():
            for packet in packets[token]:
                line.send(packet)
        copied_ns: dict[int, int] = {}
        sealed: dict[int, Sealed] = {}
        for token, report in self._reports():
            if isinstance(report, CutDone):
                copied_ns[token] = time.monotonic_ns()
            elif isinstance(report, Sealed):
                sealed[token] = report
            if len(sealed) == len(self._lines):
                break
        took_ns = max(copied_ns.values()) - begun_ns
        return UnbarredCut(took_ns, [sealed[token].pause_ns for token in self._lines])

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

    def _all(self, order: Order, answer: type[Report]) -> None:
        for token, line in self._lines.items():
            line.send(encode(order, token))
        self._hear(answer)

    def _hear(self, wanted: type[Report]) -> None:
        """Waits for a report of this type of every member; others on the way to it are let pass."""
        missing = set(self._lines)
        for token, report in self._reports():
            if isinstance(report, wanted):
                missing.discard(token)
            if not missing:
                break

    def _reports(self) -> Iterator[tuple[int, Report]]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for key, _ in self._selector.select(1.0):
                _, report = decode(self._lines[key.data].recv(SIZE_BYTES))
                if isinstance(report, Failed):
                    raise RuntimeError(f"a member failed: {report.reason}")
                yield key.data, report
        raise RuntimeError(f"members were silent for {_PATIENCE_SECONDS:.0f} s")
