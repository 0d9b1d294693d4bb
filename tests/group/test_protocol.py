"""The group protocol under loss, delay, duplication, death and refusal.

Every world is made from a seed; a failure names it, and replays from it.
"""

import pytest

from mmsnap.group import (
    EMPTY_EPOCH,
    Cause,
    CheckpointOperation,
    Failure,
    RestoreOperation,
    Send,
)
from mmsnap.group import messages as m
from mmsnap.group.messages import Kind
from tests.group.invariants import judge_checkpoint, judge_restore
from tests.group.world import BUDGETS, Trouble, World

CALM = Trouble()
TROUBLES = {
    "calm": CALM,
    "deaths": Trouble(death=0.3),
    "losses": Trouble(drop=0.05),
    "duplicates": Trouble(duplicate=0.3),
    "delays": Trouble(slow=0.1, duplicate=0.1),
    "failures": Trouble(failure=0.05, refusal=0.2),
    "everything": Trouble(
        drop=0.02, duplicate=0.1, slow=0.05, death=0.05, refusal=0.1, failure=0.02
    ),
}
SEEDS = range(150)


def checkpoint(epoch: int, world: World, **options: int) -> CheckpointOperation:
    return CheckpointOperation(epoch, world.members, name="c", budgets=BUDGETS, **options)


def restore(epoch: int, world: World, target: int) -> RestoreOperation:
    return RestoreOperation(epoch, world.members, target=target, budgets=BUDGETS)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_checkpoint_is_of_all_members_or_none(trouble: str) -> None:
    committed = 0
    for seed in SEEDS:
        world = World(seed, size=1 + seed % 5, trouble=TROUBLES[trouble])
        operation = checkpoint(7, world)
        world.run(operation)
        judge_checkpoint(world, operation)
        committed += operation.epoch in world.recorded
    assert committed == len(SEEDS) if trouble == "calm" else committed > 0, "tells nothing"


@pytest.mark.parametrize("trouble", TROUBLES)
def test_restore_moves_everybody_or_nobody(trouble: str) -> None:
    moved = 0
    for seed in SEEDS:
        world = World(seed, size=1 + seed % 5, trouble=TROUBLES[trouble])
        operation = restore(9, world, target=4)
        world.run(operation)
        judge_restore(world, operation, head_before=0)
        moved += operation.epoch in world.recorded
    assert moved == len(SEEDS) if trouble == "calm" else moved > 0, "tells nothing"


def test_late_messages_of_older_epochs_neither_cut_nor_commit() -> None:
    for seed in SEEDS:
        world = World(seed, size=3, trouble=Trouble(slow=0.2, duplicate=0.4, drop=0.02))
        for epoch in (1, 2, 3):
            operation = checkpoint(epoch, world)
            world.run(operation, drain=epoch == 3)
            world.settle()
        judge_checkpoint(world, operation)


def test_abort_releases_at_once_and_not_by_lease() -> None:
    """With a network that loses nothing, nobody stands still until a lease ends."""
    aborted = 0
    for seed in SEEDS:
        world = World(seed, size=4, trouble=Trouble(failure=0.1, death=0.1))
        operation = checkpoint(3, world)
        world.run(operation)
        aborted += operation.epoch not in world.recorded
        for member in world.members.values():
            assert not (member.alive and member.thawed_at), f"{member.name} waited out its lease"
    assert aborted


def test_slow_cut_keeps_its_leases() -> None:
    """A cut longer than the lease must not void itself while the service lives."""
    world = World(1, size=2, trouble=CALM)
    world.members["m1"].manner = "old"
    operation = checkpoint(1, world)
    deliver = world.deliver

    def slowly(name: str, order: object) -> None:
        if type(order).__name__ == "Cut" and name == "m1":
            world.after(2 * BUDGETS.lease_ns - 50, lambda: deliver(name, order))
        else:
            deliver(name, order)

    world.deliver = slowly  # type: ignore[method-assign]
    world.run(operation)
    judge_checkpoint(world, operation)
    assert operation.epoch in world.recorded


def test_pause_over_budget_aborts_and_names_the_slow_member() -> None:
    for seed in SEEDS:
        world = World(seed, size=3, trouble=Trouble(slow=0.15))
        operation = checkpoint(1, world, max_pause_ns=70)
        world.run(operation)
        judge_checkpoint(world, operation)
        finished = operation.finished
        assert finished is not None
        if finished.committed:
            assert all(figures.pause_ns <= 70 for figures in finished.figures.values())
        elif finished.failure is not None and finished.failure.cause is Cause.PAUSE:
            assert finished.failure.members


def test_hung_member_is_named_and_the_others_run_on() -> None:
    world = World(1, size=3, trouble=CALM)
    deliver = world.deliver
    world.deliver = (  # type: ignore[method-assign]
        lambda name, order: None if name == "m1" else deliver(name, order)
    )
    operation = checkpoint(1, world)
    world.run(operation)
    judge_checkpoint(world, operation)
    assert operation.finished is not None
    assert operation.finished.failure is not None
    assert operation.finished.failure.cause is Cause.TIMEOUT
    assert operation.finished.failure.members == ("m1",)


def stand_still(size: int = 2) -> CheckpointOperation:
    """An operation that has just ordered its members to stand still, at time 0."""
    operation = checkpoint(7, World(0, size=size, trouble=CALM))
    operation.start(0)
    for number in range(size):
        operation.receive(f"m{number}", m.Ready(7, 1, 0), 0)
    assert operation.step == "quiesce"
    return operation


def test_one_that_copies_for_long_is_not_taken_for_hung() -> None:
    operation = stand_still()
    assert operation.receive("m0", m.CutDone(7, 1, 4096, 1), 1) == []
    assert operation.receive("m1", m.Held(7, 0, copying=True), 2) == [], "nothing is ordered twice"
    assert operation.step == "cut"
    operation.tick(BUDGETS.quiesce_ns + BUDGETS.answer_ns)
    assert operation.finished is None
    assert Send(Kind.RESUME, ("m0", "m1")) in operation.receive("m1", m.CutDone(7, 9, 9, 9), 300)


def test_one_that_says_nothing_is_not_waited_for_as_if_it_copied() -> None:
    operation = stand_still()
    operation.receive("m0", m.CutDone(7, 1, 4096, 1), 1)
    operation.tick(BUDGETS.quiesce_ns + BUDGETS.answer_ns)
    assert operation.finished is not None
    assert operation.finished.failure == Failure(Cause.TIMEOUT, ("m1",), "quiesce")


def test_one_that_knows_no_order_for_both_is_given_the_second_at_once() -> None:
    operation = stand_still()
    assert operation.receive("m1", m.Held(7, 0), 1) == [Send(Kind.CUT, ("m1",))]
    assert operation.receive("m1", m.Held(7, 0), 2) == [], "and once"
    assert operation.receive("m0", m.CutDone(7, 1, 4096, 1), 3) == []
    assert Send(Kind.RESUME, ("m0", "m1")) in operation.receive("m1", m.CutDone(7, 1, 1, 1), 4)


def test_a_failed_cut_is_called_one_although_the_order_was_to_stand_still() -> None:
    operation = stand_still()
    operation.receive("m1", m.Failed(7, Kind.CUT, 5, "pool is full"), 1)
    assert operation.finished is not None
    assert operation.finished.failure is not None
    assert operation.finished.failure.step == "cut"


def test_group_without_members_is_refused() -> None:
    operation = CheckpointOperation(1, (), name="c")
    operation.start(0)
    assert operation.finished is not None
    assert operation.finished.failure is not None
    assert operation.finished.failure.cause is Cause.EMPTY


def test_member_that_is_no_part_of_the_checkpoint_becomes_empty() -> None:
    world = World(1, size=3, trouble=CALM)
    operation = RestoreOperation(9, world.members, target=4, absent=["m2"], budgets=BUDGETS)
    world.run(operation)
    assert [m.restored for m in world.members.values()] == [4, 4, EMPTY_EPOCH]
