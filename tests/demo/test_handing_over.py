"""Messages handed over exactly once, whatever happens to the line; wrong numbers do no harm."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from selectors import DefaultSelector

import numpy as np
import pytest

from mmsnap.demo.link import RECORDS_MAX, SLOT_WORDS, SLOTS, Outbox, Receiver, Sender
from mmsnap.demo.stream import COLUMNS, Records

ROUNDS = 4000


def outbox() -> Outbox:
    return Outbox(np.zeros((SLOTS, SLOT_WORDS), np.int64), np.zeros(2, np.int64))


def message(number: int) -> Records:
    return np.full((1 + number % RECORDS_MAX, COLUMNS), number, np.int64)


@pytest.fixture
def selector() -> Iterator[DefaultSelector]:
    with DefaultSelector() as made:
        yield made


class Peer:
    """A receiver that notes what it took; its memory may be set back."""

    def __init__(self, path: Path, selector: DefaultSelector) -> None:
        self.taken: list[Records] = []
        Receiver(path, lambda sender: len(self.taken), self._receive, selector)

    def _receive(self, sender: int, number: int, records: Records) -> int:
        assert sender == 7
        if number == len(self.taken) + 1:
            self.taken.append(records.copy())
        return len(self.taken)


def turn(selector: DefaultSelector) -> None:
    for key, _ in selector.select(0):
        key.data()


def test_every_message_once_and_in_order_though_the_line_breaks(
    tmp_path: Path, selector: DefaultSelector
) -> None:
    chance = random.Random(11)
    path, box = tmp_path / "peer.sock", outbox()
    peer = Peer(path, selector)
    sender = Sender(path, 7, box, box.acknowledge, selector)
    for _ in range(ROUNDS):
        if not box.full and chance.random() < 0.5:
            box.put(message(box.put_last + 1))
        sender.send()
        if chance.random() < 0.3:
            turn(selector)
        if chance.random() < 0.01:
            break_line(sender)
    while not box.empty:
        sender.send()
        turn(selector)
    assert len(peer.taken) == box.put_last > ROUNDS // 8
    for number, records in enumerate(peer.taken, start=1):
        np.testing.assert_array_equal(records, message(number))


def break_line(sender: Sender) -> None:
    """What a killed peer does to the line, without the peer."""
    if sender._line is not None:
        sender._line.shutdown(2)


def test_a_peer_restored_to_the_same_cut_gets_what_it_had_not(
    tmp_path: Path, selector: DefaultSelector
) -> None:
    path, box = tmp_path / "peer.sock", outbox()
    for number in range(1, 6):
        box.put(message(number))
    box.acknowledge(2)
    peer = Peer(path, selector)
    peer.taken = [message(1), message(2), message(3)]
    sender = Sender(path, 7, box, box.acknowledge, selector)
    while not box.empty:
        sender.send()
        turn(selector)
    assert [int(records[0, 0]) for records in peer.taken] == [1, 2, 3, 4, 5]
    assert sender.resent == 2


def test_a_sender_waits_for_a_peer_that_is_not_there_yet(
    tmp_path: Path, selector: DefaultSelector
) -> None:
    path, box = tmp_path / "peer.sock", outbox()
    box.put(message(1))
    sender = Sender(path, 7, box, box.acknowledge, selector)
    sender.send()
    peer = Peer(path, selector)
    while not box.empty:
        sender.send()
        turn(selector)
    assert len(peer.taken) == 1


def test_an_outbox_is_full_until_its_oldest_message_is_acknowledged() -> None:
    box = outbox()
    for number in range(1, SLOTS + 1):
        assert not box.full
        box.put(message(number))
    assert box.full
    box.acknowledge(1)
    assert not box.full


@pytest.mark.parametrize("number", [0, 1, 99], ids=["older", "as it is", "never sent"])
def test_an_acknowledgement_from_another_time_only_counts_as_far_as_it_can(number: int) -> None:
    box = outbox()
    box.put(message(1))
    box.put(message(2))
    box.acknowledge(1)
    box.acknowledge(number)
    assert 1 <= box.acknowledged_last <= box.put_last == 2
