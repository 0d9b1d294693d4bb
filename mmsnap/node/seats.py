"""Who sits in a group right now: the processes behind its members' names.

A seat is taken by Attach (joining), confirmed by the member's Hello (settling),
and takes part in operations once it was told where it stands (seated). Kept in
memory only: what must outlive the service is in the catalog.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from mmsnap.catalog import EngineKind, MemberRecord
from mmsnap.errors import InUseError, UnsupportedError
from mmsnap.node.peers import is_running

GROUP_MAX: Final = 256
# From Attach to Hello the process opens its region, which may have to recover first.
JOIN_BUDGET_SECONDS: Final = 60.0


class Standing(Enum):
    JOINING = "joining"
    SETTLING = "settling"
    SEATED = "seated"


@dataclass(slots=True, eq=False)
class Seat:
    """One process as a member. `behind` means that it has yet to follow the last restore."""

    member: MemberRecord
    pid: int
    behind: bool
    token: int = field(default_factory=lambda: secrets.randbits(64) or 1)
    standing: Standing = Standing.JOINING
    since: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def home(self) -> tuple[str, int]:
        """The node that it is on, and which incarnation it is."""
        return self.member.node, self.member.incarnation

    @property
    def engine(self) -> EngineKind:
        return self.member.engine

    @property
    def gone(self) -> bool:
        """Whether it will never say Hello."""
        late = time.monotonic() - self.since > JOIN_BUDGET_SECONDS
        return self.standing is Standing.JOINING and (late or not is_running(self.pid))


class Seats:
    """The seats of one group, by member. Of one event loop."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Seat]:
        return iter(tuple(self._seats.values()))

    def get(self, name: str) -> Seat | None:
        return self._seats.get(name)

    def take(self, seat: Seat, *, resuming: bool) -> Seat | None:
        """Give `seat` its place; returns the seat that it replaces, if any.

        A process takes its own name over from a connection that it lost; nobody else
        takes the name of a live one.
        """
        before = self._seats.get(seat.name)
        if before is not None and is_running(before.pid):
            if not (resuming and before.pid == seat.pid):
                raise InUseError(
                    f"member {seat.name} of group {seat.member.group} is process {before.pid}",
                    subject=seat.name,
                    hint="give another --member, or stop that process",
                    pid=before.pid,
                )
        elif before is None and len(self._seats) >= GROUP_MAX:
            raise UnsupportedError(
                f"group {seat.member.group} has {GROUP_MAX} members, the most there can be",
                subject=seat.member.group,
            )
        self._seats[seat.name] = seat
        self.change()
        return before

    def leave(self, seat: Seat) -> bool:
        """Free its place; False when another one has it already."""
        if self._seats.get(seat.name) is not seat:
            return False
        del self._seats[seat.name]
        self.change()
        return True

    def seated(self) -> list[Seat]:
        return [seat for seat in self if seat.standing is Standing.SEATED]

    def unsettled(self) -> list[Seat]:
        """Those on their way in; the ones that will never come are let go of."""
        for seat in self:
            if seat.gone:
                self.leave(seat)
        return [seat for seat in self if seat.standing is not Standing.SEATED]

    def change(self) -> None:
        """Wake whoever waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, within_seconds: float) -> None:
        """Return at the next change, or when the time is over."""
        try:
            await asyncio.wait_for(self._changed.wait(), within_seconds)
        except TimeoutError:
            return
