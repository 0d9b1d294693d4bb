"""Rolling a running group back to one of its checkpoints.

quiesce all, record the new head, restore all, resume all. Before the record
anything that goes wrong aborts it and everybody runs on as before. After it the
group is where the record says: a member that can not follow is expelled, and is
told the head when it attaches again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmsnap.group.budgets import DEFAULT_BUDGETS, Budgets
from mmsnap.group.effects import Cause, Effect, Expel, Failure, Figures
from mmsnap.group.messages import (
    EMPTY_EPOCH,
    Abort,
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
    Members that are no part of the checkpoint (`absent`) show an empty region.
    """

    def __init__(
        self,
        epoch: int,
        members: Iterable[str],
        *,
        target: int,
        absent: Iterable[str] = (),
        budgets: Budgets = DEFAULT_BUDGETS,
    ) -> None:
        super().__init__(
            epoch,
            members,
            orders={
                Kind.QUIESCE: Quiesce(epoch, budgets.lease_ns, budgets.quiesce_ns),
                Kind.RESTORE: Restore(epoch, budgets.lease_ns, target),
                Kind.RENEW: Renew(epoch, budgets.lease_ns),
                Kind.RESUME: Resume(epoch),
                Kind.ABORT: Abort(epoch),
            },
            steps=(
                Step(Kind.QUIESCE, Held, budgets.quiesce_ns + budgets.answer_ns, held=True),
                Step(Kind.RESTORE, Done, budgets.restore_ns, held=True),
                Step(Kind.RESUME, Sealed, budgets.seal_ns, held=False),
            ),
            decide_after=0,
            budgets=budgets,
        )
        self.target = target
        self._absent = frozenset(absent)
        self._emptied = Restore(epoch, budgets.lease_ns, EMPTY_EPOCH)
        self.expelled: dict[str, str] = {}  # member to the reason

    def order(self, kind: Kind, member: str) -> Order:
        if kind is Kind.RESTORE and member in self._absent:
            return self._emptied
        return super().order(kind, member)

    def _answers(self, report: EpochReport) -> bool:
        if isinstance(report, Done) and report.order != Kind.RESTORE:
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
        self.expelled.update(dict.fromkeys(failure.members, reason))
        if self._deciding:
            return []
        return [*self._expel(failure.members), *self._when_answered(now_ns)]

    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        self._awaited.discard(member)
        return self._stumble(Failure(Cause.LOST, (member,), self.step), now_ns)

    def _expel(self, members: Iterable[str]) -> list[Effect]:
        connected = [member for member in members if member in self._present]
        self._present.difference_update(connected)
        self._awaited.difference_update(connected)
        return [Expel(member, self.expelled[member]) for member in connected]
