"""A checkpoint of a group at one cut.

begin all, quiesce all, cut all, resume all, seal all, commit. Until the catalog
has recorded it, anything that goes wrong aborts it for everybody; a member that
dies after its Sealed does not, for its log is complete without it.

Memory is copied as soon as its member stands still, whether or not all do, and on the
same order: nobody runs on before everybody stood still and was copied, so what was
copied early is still what is there when the last one stands still. That saves one way
there and back of the pause, and two of five packets. Dumps of unmodified programs are
so long that nothing would be saved, and they would keep the processors from those that
are on their way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mmsnap.group.budgets import DEFAULT_BUDGETS, Budgets
from mmsnap.group.effects import Cause, Effect, Failure, Figures, Send
from mmsnap.group.messages import (
    Abort,
    Begin,
    Commit,
    Cut,
    CutDone,
    EpochReport,
    Held,
    Kind,
    Order,
    Quiesce,
    Ready,
    Renew,
    Resume,
    Sealed,
)
from mmsnap.group.operation import Operation, Step


class CheckpointOperation(Operation):
    """One group checkpoint; Decide means: record it with `figures` in the catalog."""

    def __init__(
        self,
        epoch: int,
        members: Iterable[str],
        *,
        name: str,
        automatic: bool = False,
        unasked: bool = False,
        max_pause_ns: int = 0,
        programs: Iterable[str] = (),
        budgets: Budgets = DEFAULT_BUDGETS,
    ) -> None:
        """Of these members, of which `programs` are unmodified programs.

        `unasked`: a member that has left an update half done refuses.
        """
        taking_part = tuple(members)
        self._memory = frozenset(taking_part).difference(programs)
        super().__init__(
            epoch,
            taking_part,
            orders=_orders(
                Begin(epoch, name, automatic, budgets.hooks_ns, max_pause_ns, unasked), budgets
            ),
            steps=(
                Step(Kind.BEGIN, Ready, budgets.begin_ns, held=False),
                Step(Kind.QUIESCE, Held, budgets.quiesce_ns + budgets.answer_ns, held=True),
                Step(Kind.CUT, CutDone, budgets.cut_ns, held=True, ahead=self._memory),
                Step(Kind.RESUME, Sealed, budgets.seal_ns, held=False),
            ),
            decide_after=3,
            budgets=budgets,
            max_pause_ns=max_pause_ns,
        )
        self.name = name
        self._waited_ns: dict[str, int] = {}
        self._held_at_ns: dict[str, int] = {}
        self._sealed: dict[str, Sealed] = {}

    def order(self, kind: Kind, member: str) -> Order:
        order = super().order(kind, member)
        if isinstance(order, Quiesce) and member in self._memory:
            return replace(order, cut=True, max_pause_ns=self.max_pause_ns)
        return order

    @property
    def figures(self) -> Mapping[str, Figures]:
        """Of every member that sealed its log."""
        return self._figures()

    def _note(self, member: str, report: EpochReport, now_ns: int) -> None:
        if isinstance(report, Held):
            self._stands_still(member, report.waited_ns, now_ns)
        elif isinstance(report, CutDone):
            # Of one that did not say Held before.
            self._stands_still(member, report.waited_ns, now_ns - report.copy_ns)
        elif isinstance(report, Sealed):
            self._sealed[member] = report

    def _stands_still(self, member: str, waited_ns: int, at_ns: int) -> None:
        self._waited_ns.setdefault(member, waited_ns)
        self._held_at_ns.setdefault(member, at_ns)

    def _behind(self, member: str, report: EpochReport) -> list[Effect]:
        """One that knows no order for both stands still first, and is given the second one."""
        if isinstance(report, Held) and not report.copying and member in self._memory:
            return [Send(Kind.CUT, (member,))]
        return []

    def _when_answered(self, now_ns: int) -> list[Effect]:
        if not self._awaited and self._at == self._decide_after and self.max_pause_ns:
            slow = tuple(m for m, s in self._sealed.items() if s.pause_ns > self.max_pause_ns)
            if slow:
                return self._stumble(Failure(Cause.PAUSE, slow, self.step), now_ns)
        return super()._when_answered(now_ns)

    def _accepted(self, now_ns: int) -> list[Effect]:
        effects = self._finish(now_ns, None)
        if not self._present:
            return effects
        return [Send(Kind.COMMIT, self._everybody()), *effects]

    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        # Once the catalog is asked only its answer counts: it may have recorded it already.
        return [] if self._deciding else self._finish(now_ns, failure)

    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        if member in self._sealed:
            return []
        return self._stumble(Failure(Cause.LOST, (member,), self.step), now_ns)

    def _figures(self) -> Mapping[str, Figures]:
        first_ns = min(self._held_at_ns.values(), default=0)
        return {
            member: Figures(
                pause_ns=sealed.pause_ns,
                waited_ns=self._waited_ns[member],
                hook_ns=sealed.hook_ns,
                skew_ns=self._held_at_ns[member] - first_ns,
                pages=sealed.pages,
                size_bytes=sealed.size_bytes,
                crash_only=sealed.crash_only,
                freeze_ns=sealed.freeze_ns,
                dump_ns=sealed.dump_ns,
                thaw_ns=sealed.thaw_ns,
            )
            for member, sealed in self._sealed.items()
        }


def _orders(begin: Begin, budgets: Budgets) -> Mapping[Kind, Order]:
    epoch, max_pause_ns = begin.epoch, begin.max_pause_ns
    update_timeout_ns = budgets.quiesce_ns
    if max_pause_ns:
        update_timeout_ns = min(update_timeout_ns, max_pause_ns)
    return {
        Kind.BEGIN: begin,
        Kind.QUIESCE: Quiesce(epoch, budgets.lease_ns, update_timeout_ns),
        Kind.CUT: Cut(epoch, budgets.lease_ns, max_pause_ns),
        Kind.RENEW: Renew(epoch, budgets.lease_ns),
        Kind.RESUME: Resume(epoch),
        Kind.COMMIT: Commit(epoch),
        Kind.ABORT: Abort(epoch),
    }
