"""The harness is worth something only if it fails on a broken protocol.

Each class here breaks one rule; the search must find a world in which it shows.
"""

import pytest

from mmsnap.group import CheckpointOperation, Decide, Effect, Failure, RestoreOperation, Send
from mmsnap.group.effects import Cause
from mmsnap.group.messages import CutDone, EpochReport, Kind, Sealed, Void
from tests.group.invariants import judge_checkpoint, judge_restore
from tests.group.world import BUDGETS, Trouble, World


class ResumesWhenTheFirstHasCut(CheckpointOperation):
    def _when_answered(self, now_ns: int) -> list[Effect]:
        if self.step == "cut":
            self._awaited.clear()
        return super()._when_answered(now_ns)


class ResumesWhoeverHasCut(CheckpointOperation):
    def receive(self, member: str, report: EpochReport, now_ns: int) -> list[Effect]:
        effects = super().receive(member, report, now_ns)
        early = isinstance(report, CutDone) and self.step == "quiesce"
        return [*effects, Send(Kind.RESUME, (member,))] if early else effects


class TakesVoidForSealed(CheckpointOperation):
    def receive(self, member: str, report: EpochReport, now_ns: int) -> list[Effect]:
        if isinstance(report, Void):
            report = Sealed(report.epoch, 0, 0, 0, False, 0)
        return super().receive(member, report, now_ns)


class CommitsWithoutTheDead(CheckpointOperation):
    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        self._awaited.discard(member)
        return self._when_answered(now_ns)


class CommitsOnSilence(CheckpointOperation):
    def _overdue(self, now_ns: int) -> list[Effect]:
        if self.step != "resume":
            return super()._overdue(now_ns)
        self._awaited.clear()
        return self._when_answered(now_ns)


class HasNoFence(CheckpointOperation):
    def receive(self, member: str, report: EpochReport, now_ns: int) -> list[Effect]:
        object.__setattr__(report, "epoch", self.epoch)
        return super().receive(member, report, now_ns)


class CountsAnswersNotMembers(CheckpointOperation):
    def receive(self, member: str, report: EpochReport, now_ns: int) -> list[Effect]:
        if self._answers(report) and member not in self._awaited and self._awaited:
            member = min(self._awaited)
        return super().receive(member, report, now_ns)


class CommitsBeforeTheCatalog(CheckpointOperation):
    def _ask(self) -> list[Effect]:
        return [Send(Kind.COMMIT, self._everybody()), *super()._ask()]


class AbortsWhileTheCatalogDecides(CheckpointOperation):
    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        return self._finish(now_ns, failure)

    def _lost(self, member: str, now_ns: int) -> list[Effect]:
        return self._stumble(Failure(Cause.LOST, (member,), self.step), now_ns)


class RestoresBeforeTheRecord(RestoreOperation):
    def _ask(self) -> list[Effect]:
        return [Send(Kind.RESTORE, self._everybody()), *super()._ask()]


class ResumesBeforeAllRestored(RestoreOperation):
    def _when_answered(self, now_ns: int) -> list[Effect]:
        if self.step == "restore":
            self._awaited.clear()
        return super()._when_answered(now_ns)


class AbortsAfterTheRecord(RestoreOperation):
    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        self.decided = self.decided and self.step == "resume"
        return self._finish(now_ns, failure)


class KeepsWhoDidNotFollow(RestoreOperation):
    def _stumble(self, failure: Failure, now_ns: int) -> list[Effect]:
        self._awaited.difference_update(failure.members if self.decided else ())
        return self._when_answered(now_ns) if self.decided else super()._stumble(failure, now_ns)


NASTY = Trouble(drop=0.03, duplicate=0.3, slow=0.1, death=0.1, refusal=0.1, failure=0.03)
LATE = Trouble(drop=0.03, duplicate=0.5, slow=0.2)
SEEDS = range(400)


def search_checkpoints(kind: type[CheckpointOperation]) -> None:
    for seed in SEEDS:
        late = seed % 2
        world = World(seed, size=2 if late else 3, trouble=LATE if late else NASTY)
        for epoch in (1, 2):
            operation = kind(epoch, world.members, name="c", budgets=BUDGETS)
            world.run(operation, drain=epoch == 2)
            world.settle()
        judge_checkpoint(world, operation)


def search_restores(kind: type[RestoreOperation]) -> None:
    for seed in SEEDS:
        world = World(seed, size=3, trouble=NASTY)
        operation = kind(5, world.members, target=2, budgets=BUDGETS)
        world.run(operation)
        judge_restore(world, operation, head_before=0)


def test_the_unbroken_protocol_survives_the_same_search() -> None:
    search_checkpoints(CheckpointOperation)
    search_restores(RestoreOperation)


@pytest.mark.parametrize(
    "fault",
    [
        ResumesWhenTheFirstHasCut,
        ResumesWhoeverHasCut,
        TakesVoidForSealed,
        CommitsWithoutTheDead,
        CommitsOnSilence,
        HasNoFence,
        CountsAnswersNotMembers,
        CommitsBeforeTheCatalog,
        AbortsWhileTheCatalogDecides,
    ],
)
def test_search_finds_a_broken_checkpoint(fault: type[CheckpointOperation]) -> None:
    with pytest.raises(AssertionError):
        search_checkpoints(fault)


@pytest.mark.parametrize(
    "fault",
    [
        RestoresBeforeTheRecord,
        ResumesBeforeAllRestored,
        AbortsAfterTheRecord,
        KeepsWhoDidNotFollow,
    ],
)
def test_search_finds_a_broken_restore(fault: type[RestoreOperation]) -> None:
    with pytest.raises(AssertionError):
        search_restores(fault)


def test_decide_is_asked_once() -> None:
    world = World(1, size=3, trouble=Trouble(duplicate=0.5))
    operation = CheckpointOperation(1, world.members, name="c", budgets=BUDGETS)
    asked = []
    effect = world.effect

    def watch(effects: list[Effect]) -> None:
        asked.extend(e for e in effects if isinstance(e, Decide))
        effect(effects)

    world.effect = watch  # type: ignore[method-assign]
    world.run(operation)
    assert len(asked) == 1
