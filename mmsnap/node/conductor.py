"""Drives one operation's state machine over the members' lines.

Runs on the switchboard's thread. Between Quiesce and Resume it does nothing but
send packets made beforehand: what it has to tell the rest of the service waits
until nobody stands still (a restore's record apart, which belongs in between).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mmsnap.group import Decide, Effect, Expel, Finished, Operation, Send
from mmsnap.group.messages import EpochReport
from mmsnap.node.packets import encode


class MemberLine(Protocol):
    """A member that can be spoken to, on this node or on another one."""

    @property
    def token(self) -> int:
        """What it is known by."""

    @property
    def distant(self) -> bool:
        """Whether it is on another node."""

    def send(self, packet: bytes) -> None:
        """Gives it an order; nothing happens if it is gone."""

    def flush(self) -> None:
        """What it was given is on its way, also if it is distant."""

    def end(self, reason: str) -> None:
        """Ends its connection: it comes again."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a conductor tells what; every function is called on the switchboard's thread.

    decide: the catalog has to record the operation, then `Conductor.answer` be called.
    step: a step begins in which nobody stands still.
    finished: the operation is over.
    """

    decide: Callable[[], None]
    step: Callable[[str], None]
    finished: Callable[[Finished], None]


class Conductor:
    """One operation under way."""

    def __init__(
        self, operation: Operation, lines: Mapping[str, MemberLine], audience: Audience
    ) -> None:
        self.operation = operation
        self.lines = dict(lines)
        self._audience = audience
        self._packets = {
            (kind, member): encode(operation.order(kind, member), line.token)
            for kind in operation.kinds
            for member, line in self.lines.items()
        }
        self._told = ""

    @property
    def epoch(self) -> int:
        return self.operation.epoch

    @property
    def finished(self) -> bool:
        return self.operation.finished is not None

    def start(self, now_ns: int) -> None:
        for member in self.operation.members:
            if member not in self.lines:
                self._carry_out(self.operation.lose(member, now_ns))
        if not self.finished:
            self._carry_out(self.operation.start(now_ns))

    def receive(self, member: str, report: EpochReport, now_ns: int) -> None:
        self._carry_out(self.operation.receive(member, report, now_ns))

    def lose(self, member: str, now_ns: int) -> None:
        self._carry_out(self.operation.lose(member, now_ns))

    def tick(self, now_ns: int) -> None:
        self._carry_out(self.operation.tick(now_ns))

    def answer(self, accepted: bool, now_ns: int, reason: str) -> None:
        self._carry_out(self.operation.answer(accepted, now_ns, reason))

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        orders: list[Send] = []
        for effect in effects:
            if isinstance(effect, Send):
                orders.append(effect)
                continue
            self._send(orders)
            orders = []
            match effect:
                case Decide():
                    self._audience.decide()
                case Expel(member, reason):
                    self.lines[member].end(f"expelled: {reason}")
                case Finished():
                    self._audience.finished(effect)
        self._send(orders)
        if not self.operation.held and self.operation.step != self._told and not self.finished:
            self._told = self.operation.step
            self._audience.step(self._told)

    def _send(self, orders: Sequence[Send]) -> None:
        """Those that have farther to go go first: a member here may take our processor."""
        if orders:
            self._give(orders, distant=True)
            for line in self.lines.values():
                line.flush()
            self._give(orders, distant=False)

    def _give(self, orders: Sequence[Send], *, distant: bool) -> None:
        for order in orders:
            for member in order.members:
                line = self.lines.get(member)
                # Several may be gone before it starts; losing the first aborts it for all others.
                if line is not None and line.distant is distant:
                    line.send(self._packets[order.order, member])
