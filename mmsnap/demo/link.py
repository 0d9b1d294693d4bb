"""Handing messages over exactly once, between processes that may be killed and restored.

A message has a number per sender and receiver and stays in the sender's outbox, which is part of
its checkpoints, until the receiver says that it has it. After every connect the receiver says which
number it saw last, and the sender goes on from there. What was under way at a cut is thus sent
again, and what comes twice is dropped. Sockets keep packets whole and in order; they are never part
of a checkpoint.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from selectors import EVENT_READ, BaseSelector
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsnap.demo.stream import COLUMNS, Records

SLOTS: Final = 128
"""Messages to one peer that may be unacknowledged."""

RECORDS_MAX: Final = 128
"""Of one message."""

SLOT_WORDS: Final = 1 + RECORDS_MAX * COLUMNS

_WORD: Final = 8
_PACKET_BYTES: Final = SLOT_WORDS * _WORD


class Outbox:
    """Messages to one peer, in order of their numbers, until they are acknowledged.

    Args:
        slots: shape (SLOTS, SLOT_WORDS); a slot holds a count of records, then the records.
        marks: the numbers of the last message that was put and of the last one acknowledged.

    Whoever changes it is inside an update.
    """

    def __init__(self, slots: NDArray[np.int64], marks: NDArray[np.int64]) -> None:
        self._slots = slots
        self._marks = marks

    @property
    def put_last(self) -> int:
        return int(self._marks[0])

    @property
    def acknowledged_last(self) -> int:
        return int(self._marks[1])

    @property
    def empty(self) -> bool:
        return self.put_last == self.acknowledged_last

    @property
    def full(self) -> bool:
        return self.put_last - self.acknowledged_last == SLOTS

    def put(self, records: Records) -> None:
        """Adds a message of at most RECORDS_MAX records."""
        number = self.put_last + 1
        slot = self._slots[number % SLOTS]
        slot[0] = len(records)
        slot[1 : 1 + records.size] = records.ravel()
        self._marks[0] = number

    def packet(self, number: int) -> bytes:
        """A message that is not acknowledged yet, as it travels: its number, then its records."""
        slot = self._slots[number % SLOTS]
        records: bytes = slot[1 : 1 + int(slot[0]) * COLUMNS].tobytes()
        return _word(number) + records

    def acknowledge(self, number: int) -> None:
        """Forgets messages up to `number`.

        A peer that was restored to another moment may name any number; only what is here counts.
        """
        self._marks[1] = min(max(number, self.acknowledged_last), self.put_last)


class Sender:
    """The way of one outbox to its peer; connects by itself, again and again if need be.

    Attributes:
        resent: messages of the restored outbox that the peer did not have: under way at the cut.
    """

    def __init__(
        self,
        path: Path,
        me: int,
        outbox: Outbox,
        acknowledged: Callable[[int], None],
        selector: BaseSelector,
    ) -> None:
        self._path = path
        self._me = me
        self._outbox = outbox
        self._acknowledged = acknowledged
        self._selector = selector
        self._line: socket.socket | None = None
        self._inherited_last = outbox.put_last
        self.resent = 0
        self._sent_last: int | None = None  # unknown until the peer has said what it saw last

    def send(self) -> None:
        """Sends what it may, as far as the socket takes it."""
        try:
            if self._line is None:
                self._connect()
            while self._line and self._sent_last is not None:
                if self._sent_last == self._outbox.put_last:
                    return
                self._line.send(self._outbox.packet(self._sent_last + 1))
                self._sent_last += 1
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()

    def _connect(self) -> None:
        line = _socket()
        try:
            line.connect(str(self._path))
            line.send(_word(self._me))
        except OSError:
            line.close()
            return
        self._line = line
        self._selector.register(line, EVENT_READ, self._listen)

    def _listen(self) -> None:
        assert self._line is not None
        packet = _received(self._line)
        if not packet:
            self._hang_up()
            return
        self._acknowledged(_number(packet))
        if self._sent_last is None:
            self._sent_last = self._outbox.acknowledged_last
            self.resent += max(0, self._inherited_last - self._sent_last)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._selector.unregister(self._line)
            self._line.close()
        self._line = self._sent_last = None


class Receiver:
    """Where all peers' messages arrive.

    Args:
        heard: tells the number of the last message that was taken from a peer.
        receive: takes a peer's message with its number; tells the number to acknowledge.
    """

    def __init__(
        self,
        path: Path,
        heard: Callable[[int], int],
        receive: Callable[[int, int, Records], int],
        selector: BaseSelector,
    ) -> None:
        self._heard = heard
        self._receive = receive
        self._selector = selector
        path.unlink(missing_ok=True)  # of the process that was killed
        self._door = _socket()
        self._door.bind(str(path))
        self._door.listen()
        selector.register(self._door, EVENT_READ, self._welcome)

    def _welcome(self) -> None:
        line, _ = self._door.accept()
        line.setblocking(False)
        self._selector.register(line, EVENT_READ, lambda: self._greet(line))

    def _greet(self, line: socket.socket) -> None:
        packet = _received(line)
        if not packet:
            self._hang_up(line)
            return
        sender = _number(packet)
        self._selector.modify(line, EVENT_READ, lambda: self._take(line, sender))
        self._answer(line, self._heard(sender))

    def _take(self, line: socket.socket, sender: int) -> None:
        packet = _received(line)
        if not packet:
            self._hang_up(line)
            return
        words = np.frombuffer(packet, np.int64)
        self._answer(line, self._receive(sender, int(words[0]), words[1:].reshape(-1, COLUMNS)))

    def _answer(self, line: socket.socket, number: int) -> None:
        try:
            line.send(_word(number))
        except OSError:
            self._hang_up(line)

    def _hang_up(self, line: socket.socket) -> None:
        self._selector.unregister(line)
        line.close()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    return made


def _received(line: socket.socket) -> bytes:
    """The packet that has arrived; empty when the other side is gone."""
    try:
        return line.recv(_PACKET_BYTES)
    except OSError:
        return b""


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD, "little")


def _number(word: bytes) -> int:
    return int.from_bytes(word, "little")
