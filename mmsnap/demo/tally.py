"""What one member keeps: its totals, how far it is in the stream, and what its messages came to.

All of it lives in mmsnap arrays and changes inside `update()` only. So every checkpoint holds
totals, stream offset, unacknowledged messages and last-seen numbers of one and the same instant,
and what is restored can go on as if nothing had been.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mmsnap.demo.link import RECORDS_MAX, SLOT_WORDS, SLOTS, Outbox
from mmsnap.demo.stream import MEMBERS, Records, add, share_of, totals_shape
from mmsnap_sdk import App

_COUNT: Final = len(MEMBERS)


class Tally:
    """The state of member number `member` in the arrays of `app`.

    Attributes:
        outboxes: by number of the peer; the member's own stays empty.
        missing: messages that never came, though later ones did, in this process.
    """

    def __init__(self, app: App, member: int, flights: Records) -> None:
        self._app = app
        self._member = member
        self._share = share_of(flights, member)
        self._totals = app.array("totals", totals_shape(flights[member]), np.int64)
        self._taken = app.array("taken", (1,), np.int64)
        self._heard = app.array("heard", (_COUNT,), np.int64)
        marks = app.array("marks", (_COUNT, 2), np.int64)
        slots = app.array("outbox", (_COUNT, SLOTS, SLOT_WORDS), np.int64)
        self.outboxes = [Outbox(slots[peer], marks[peer]) for peer in range(_COUNT)]
        self.missing = 0

    @property
    def taken(self) -> int:
        """How many flights of its share it has read from the stream."""
        return int(self._taken[0])

    @property
    def idle(self) -> bool:
        """It has read all of its share, and nothing that it sent is unacknowledged."""
        done = self.taken == self._share.shape[1]
        return done and all(outbox.empty for outbox in self.outboxes)

    def take(self, due: int) -> bool:
        """Reads flights up to number `due`, as many as one message holds; whether there are more.

        Its own part of a flight goes into the totals, the others' into their outboxes. As long as
        these have no room it reads nothing.
        """
        begin = self.taken
        due = min(due, self._share.shape[1])
        end = min(due, begin + RECORDS_MAX)
        if end <= begin or any(outbox.full for outbox in self.outboxes):
            return False
        with self._app.update():
            for member, outbox in enumerate(self.outboxes):
                records = self._share[member, begin:end]
                if member == self._member:
                    add(self._totals, records)
                else:
                    outbox.put(records)
            self._taken[0] = end
        return end < due

    def receive(self, sender: int, number: int, records: Records) -> int:
        """Adds a peer's message unless it was added before; the number to acknowledge."""
        last = int(self._heard[sender])
        if number <= last:
            return last
        self.missing += number - last - 1
        with self._app.update():
            add(self._totals, records)
            self._heard[sender] = number
        return number

    def heard(self, sender: int) -> int:
        """The number of the last message of a peer that is in the totals."""
        return int(self._heard[sender])

    def confirm(self, peer: int, number: int) -> None:
        """A peer has everything up to `number`."""
        with self._app.update():
            self.outboxes[peer].acknowledge(number)
