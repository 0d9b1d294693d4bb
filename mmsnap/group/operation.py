"""What a group checkpoint and a group restore have in common.

An operation is a row of steps. A step sends one order to every member and is
over when every member gave the answer it waits for; at one point between the
steps the catalog decides. No I/O, no clock, no threads: messages, losses and
the time come in, effects go out. Not here: what happens when a step fails,
which differs before and after the decision and so between the two operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmsnap.group.budgets import Budgets
from mmsnap.group.effects import Cause, Decide, Effect, Failure, Figures, Finished, Send
from mmsnap.group.messages import EpochReport, Failed, Kind, Order, Void


@dataclass(frozen=True, slots=True)
class Step:
    """One order to all and the answer it waits for."""

    order: Kind
    answer: type[EpochReport]
    budget_ns: int
    held: bool  # members stand still during it, and need their leases renewed
    only: frozenset[str] | None = None  # who is asked; None: everybody
    # Who does it on the order of the step before already, and answers both at once.
    ahead: frozenset[str] = frozenset()


class Operation(ABC):
    """One operation on a group, from its first order to its result.

    `kinds` and `order` tell every order that it can give, so that a driver can
    encode them before anybody is held.
    """

    def __init__(
        self,
        epoch: int,
        members: Iterable[str],
        *,
        orders: Mapping[Kind, Order],
        steps: tuple[Step, ...],
        decide_after: int,
        budgets: Budgets,
        max_pause_ns: int = 0,
    ) -> None:
        self.epoch = epoch
        self.members = tuple(members)
        self.kinds = tuple(orders)
        self.finished: Finished | None = None
        self.decided = False
        self.max_pause_ns = max_pause_ns
        self._orders = orders
        self._steps = steps
        self._decide_after = decide_after
        self._budgets = budgets
        self._at = -1  # index of the step under way
        self._deciding = False
        self._present = set(self.members)
        self._awaited: set[str] = set()
        self._ahead: set[str] = set()  # who answered the next step already
        self._deadline_ns: int | None = None
        self._renew_ns: int | None = None
        self._quiesced_ns: int | None = None
        self._resumed_ns: int | None = None

    # ---- inputs ----

    def start(self, now_ns: int) -> list[Effect]:
        """Begin with the first step."""
        if not self._present:
            return self._finish(now_ns, Failure(Cause.EMPTY, (), "start"))
        return self._advance(now_ns)

    def receive(self, member: str, report: EpochReport, now_ns: int) -> list[Effect]:
        """Take a member's message; one of another epoch or out of its step changes nothing."""
        if self.finished is not None or report.epoch != self.epoch or member not in self._present:
            return []
        if isinstance(report, Void):
            return self._stumble(Failure(Cause.VOID, (member,), self.step), now_ns)
        if isinstance(report, Failed):
            step = self._step_of(report)
            failure = Failure(Cause.FAILED, (member,), step, report.reason, report.status)
            return self._stumble(failure, now_ns)
        is_ahead = self._answers_ahead(member, report)
        if is_ahead:
            self._ahead.add(member)
        elif self._deciding or member not in self._awaited or not self._answers(report):
            return []
        self._note(member, report, now_ns)
        orders = [] if is_ahead else self._behind(member, report)
        if member not in self._awaited:
            return orders
        self._awaited.discard(member)
        return [*orders, *self._when_answered(now_ns)]

    def lose(self, member: str, now_ns: int) -> list[Effect]:
        """A member's connection ended."""
        if self.finished is not None or member not in self._present:
            return []
        self._present.discard(member)
        return self._lost(member, now_ns)

    def tick(self, now_ns: int) -> list[Effect]:
        """Let time pass; to be called at `deadline_ns` at the latest."""
        if self.finished is not None:
            return []
        if self._deadline_ns is not None and now_ns >= self._deadline_ns:
            return self._overdue(now_ns)
        if self._renew_ns is not None and now_ns >= self._renew_ns:
            self._renew_ns = now_ns + self._budgets.lease_ns // 2
            return [Send(Kind.RENEW, self._everybody())]
        return []

    def answer(self, accepted: bool, now_ns: int, reason: str = "") -> list[Effect]:
        """What the catalog said to Decide; `accepted` means that it is recorded."""
        if self.finished is not None or not self._deciding:
            return []
        self._deciding = False
        self.decided = accepted
        if not accepted:
            return self._finish(now_ns, Failure(Cause.CATALOG, (), "decide", reason))
        return self._accepted(now_ns)

    # ---- what a driver asks ----

    def order(self, kind: Kind, member: str) -> Order:
        """What `member` is sent when an effect says to send `kind`."""
        return self._orders[kind]

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` must be called, None: no need."""
        if self.finished is not None:
            return None
        return min((t for t in (self._deadline_ns, self._renew_ns) if t is not None), default=None)

    @property
    def held(self) -> bool:
        """Whether members may stand still, waiting for us."""
        return self._quiesced_ns is not None and self._resumed_ns is None and self.finished is None

    @property
    def held_ns(self) -> int:
        """From the first Quiesce to the first Resume or Abort, as seen from here; else 0."""
        if self._quiesced_ns is None or self._resumed_ns is None:
            return 0
        return self._resumed_ns - self._quiesced_ns

    @property
    def step(self) -> str:
        """What is under way, for people: "begin", "quiesce", "decide" …"""
        if self._deciding:
            return "decide"
        return self._steps[self._at].order.name.lower() if self._at >= 0 else "start"

    # ---- steps ----

    def _advance(self, now_ns: int) -> list[Effect]:
        """Enter the next step."""
        self._at += 1
        step = self._steps[self._at]
        if step.order is Kind.QUIESCE:
            self._quiesced_ns = now_ns
        elif step.order is Kind.RESUME:
            self._resumed_ns = now_ns
        asked = self._asked(step)
        self._awaited = set(asked) - self._ahead
        self._ahead = set()
        self._deadline_ns = now_ns + step.budget_ns
        if step.held and self.max_pause_ns and self._quiesced_ns is not None:
            self._deadline_ns = min(self._deadline_ns, self._quiesced_ns + self.max_pause_ns)
        self._renew_ns = now_ns + self._budgets.lease_ns // 2 if step.held else None
        told = tuple(member for member in asked if member not in step.ahead)
        effects: list[Effect] = [Send(step.order, told)] if told else []
        return effects + (self._when_answered(now_ns) if not self._awaited else [])

    def _following(self) -> Step | None:
        return self._steps[self._at + 1] if self._at + 1 < len(self._steps) else None

    def _asked(self, step: Step) -> tuple[str, ...]:
        everybody = self._everybody()
        if step.only is None:
            return everybody
        return tuple(member for member in everybody if member in step.only)

    def _when_answered(self, now_ns: int) -> list[Effect]:
        """Go on when nobody is awaited any more."""
        if self._awaited:
            return []
        if self._at == self._decide_after and not self.decided:
            return self._ask()
        if self._at + 1 < len(self._steps):
            return self._advance(now_ns)
        return self._finish(now_ns, None)

    def _ask(self) -> list[Effect]:
        self._deciding = True
        self._deadline_ns = None
        return [Decide()]

    def _answers(self, report: EpochReport) -> bool:
        return type(report) is self._steps[self._at].answer

    def _step_of(self, report: Failed) -> str:
        """The step under way, or the one that its member was ahead in."""
        following = self._following()
        if following is not None and following.ahead and report.order == following.order:
            return following.order.name.lower()
        return self.step

    def _answers_ahead(self, member: str, report: EpochReport) -> bool:
        following = self._following()
        return (
            following is not None and member in following.ahead and type(report) is following.answer
        )

    def _everybody(self) -> tuple[str, ...]:
        return tuple(member for member in self.members if member in self._present)

    def _finish(self, now_ns: int, failure: Failure | None) -> list[Effect]:
        """End it: without a decision in its favour every member is told to abort."""
        if self._resumed_ns is None:
            self._resumed_ns = now_ns
        self.finished = Finished(self.decided, failure, self.held_ns, self._figures())
        self._deadline_ns = self._renew_ns = None
        if self.decided or not self._present:
            return [self.finished]
        return [Send(Kind.ABORT, self._everybody()), self.finished]

    def _overdue(self, now_ns: int) -> list[Effect]:
        slow = tuple(member for member in self.members if member in self._awaited)
        by_pause = (
            self.max_pause_ns
            and self._quiesced_ns is not None
            and self._steps[self._at].held
            and now_ns >= self._quiesced_ns + self.max_pause_ns
        )
        cause = Cause.PAUSE if by_pause else Cause.TIMEOUT
        return self._stumble(Failure(cause, slow, self.step), now_ns)

    # ---- what differs ----

    def _behind(self, member: str, report: EpochReport) -> list[Effect]:
        """What one that answered is ordered by itself."""
        return []

    @abstractmethod
    def _note(self, member: str, report: EpochReport, now_ns: int) -> None:
        """Keep what an awaited answer says."""

    @abstractmethod
    def _figures(self) -> Mapping[str, Figures]:
        """What is known of the members at the end."""

    @abstractmethod
    def _accepted(self, now_ns: int) -> list[Effect]:
        """The catalog recorded it."""

    @abstractmethod
    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        """Members failed, ran on by themselves, or did not answer in time."""

    @abstractmethod
    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        """A member is gone (it is no longer in `_present`)."""
