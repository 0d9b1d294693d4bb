"""Rolling a running group back to one of its checkpoints.

ask the unmodified programs whether it can work, quiesce all, record the new head, restore
all, resume all. Before the record anything that goes wrong aborts it and everybody runs on as
before. After it the group is where the record says: a member that can not follow is expelled,
and is told the head when it attaches again. Unmodified programs follow together or not at all,
for one of them restored without the others would be half a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmsnap.group.budgets import DEFAULT_BUDGETS, Budgets
from mmsnap.group.effects import Cause, Effect, Expel, Failure, Figures
from mmsnap.group.messages import (
    EMPTY_EPOCH,
    Abort,
    Check,
    Done,
    EpochReport,
    Held,
    Kind,
    Order,
    Quiesce,
    Renew,
    Restore,
    Resume,
    Sealed,
)
from mmsnap.group.operation import Operation, Step


class RestoreOperation(Operation):
    """One restore of a group; Decide means: make `target` the group's head in the catalog.

    `epoch` numbers the operation itself; it must be new, as for a checkpoint.
    Members that are no part of the checkpoint (`absent`) show an empty region. `programs`
    are the members that are unmodified programs. `generation` is the restore that is made
    again, for members that did not follow it; 0: this one.
    """

    def __init__(
        self,
        epoch: int,
        members: Iterable[str],
        *,
        target: int,
        absent: Iterable[str] = (),
        programs: Iterable[str] = (),
        generation: int = 0,
        budgets: Budgets = DEFAULT_BUDGETS,
    ) -> None:
        self._programs = frozenset(programs)
        check = Step(Kind.CHECK, Done, budgets.check_ns, held=False, only=self._programs)
        super().__init__(
            epoch,
            members,
            orders={
                Kind.CHECK: Check(epoch, target),
                Kind.QUIESCE: Quiesce(epoch, budgets.lease_ns, budgets.quiesce_ns),
                Kind.RESTORE: Restore(epoch, budgets.lease_ns, target, generation),
                Kind.RENEW: Renew(epoch, budgets.lease_ns),
                Kind.RESUME: Resume(epoch),
                Kind.ABORT: Abort(epoch),
            },
            steps=(
                *((check,) if self._programs else ()),
                Step(Kind.QUIESCE, Held, budgets.quiesce_ns + budgets.answer_ns, held=True),
                Step(Kind.RESTORE, Done, budgets.restore_ns, held=True),
                Step(Kind.RESUME, Sealed, budgets.seal_ns, held=False),
            ),
            decide_after=1 if self._programs else 0,
            budgets=budgets,
        )
        self.target = target
        self._absent = frozenset(absent)
        self._emptied = Restore(epoch, budgets.lease_ns, EMPTY_EPOCH, generation)
        self.expelled: dict[str, str] = {}  # member to the reason
        self.fallen: Failure | None = None  # why no unmodified program was restored

    def order(self, kind: Kind, member: str) -> Order:
        if kind is Kind.RESTORE and member in self._absent:
            return self._emptied
        return super().order(kind, member)

    def _answers(self, report: EpochReport) -> bool:
        if isinstance(report, Done) and report.order != self._steps[self._at].order:
            return False
        return super()._answers(report)

    def _note(self, member: str, report: EpochReport, now_ns: int) -> None:
        """A restore keeps nothing of what its members answer."""

    def _figures(self) -> Mapping[str, Figures]:
        return {}

    def _ask(self) -> list[Effect]:
        # Were the leases renewed, a catalog that never answers would hold everybody for ever.
        self._renew_ns = None
        return super()._ask()

    def _accepted(self, now_ns: int) -> list[Effect]:
        expulsions = self._expel(self.expelled)
        return [*expulsions, *self._when_answered(now_ns)]

    def _when_answered(self, now_ns: int) -> list[Effect]:
        if self.decided and not self._present:
            return self._finish(now_ns, None)
        return super()._when_answered(now_ns)

    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        if not (self._deciding or self.decided):
            return self._finish(now_ns, failure)
        reason = f"{failure.cause.value} at {failure.step} {failure.reason}".rstrip()
        who = failure.members
        # One that ends when all run again was restored, and ended by itself.
        if self._programs.intersection(who) and self._steps[self._at].order is not Kind.RESUME:
            self.fallen = self.fallen or failure
            who = (*who, *(member for member in self.members if member in self._programs))
        self.expelled.update(dict.fromkeys(who, reason))
        if self._deciding:
            return []
        return [*self._expel(who), *self._when_answered(now_ns)]

    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        self._awaited.discard(member)
        return self._stumble(Failure(Cause.LOST, (member,), self.step), now_ns)

    def _expel(self, members: Iterable[str]) -> list[Effect]:
        connected = [member for member in dict.fromkeys(members) if member in self._present]
        self._present.difference_update(connected)
        self._awaited.difference_update(connected)
        return [Expel(member, self.expelled[member]) for member in connected]


class CheckOperation(Operation):
    """Asks the unmodified programs of a group whether a restore would work. Changes nothing."""

    def __init__(
        self,
        epoch: int,
        members: Iterable[str],
        *,
        target: int,
        budgets: Budgets = DEFAULT_BUDGETS,
    ) -> None:
        super().__init__(
            epoch,
            members,
            orders={Kind.CHECK: Check(epoch, target), Kind.ABORT: Abort(epoch)},
            steps=(Step(Kind.CHECK, Done, budgets.check_ns, held=False),),
            decide_after=-1,  # nothing is decided
            budgets=budgets,
        )

    def _note(self, member: str, report: EpochReport, now_ns: int) -> None:
        """A check keeps nothing of what its members answer."""

    def _figures(self) -> Mapping[str, Figures]:
        return {}

    def _accepted(self, now_ns: int) -> list[Effect]:
        raise AssertionError("a check decides nothing")

    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        return self._finish(now_ns, failure)

    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        return self._stumble(Failure(Cause.LOST, (member,), self.step), now_ns)
