"""Whoever reads why an operation was aborted knows which member it was, and in which step."""

from __future__ import annotations

from typing import Final

import pytest

from mmsnap.errors import MmsnapError
from mmsnap.group import Cause, CheckpointOperation, Failure, Operation, RestoreOperation
from mmsnap.node.outcomes import error_of

# All of mm_status in native/include/mmsnap.h, positive, and one that is not there yet.
STATUSES: Final = range(32)
MEMBERS: Final = ("a", "odd")


def operations() -> list[Operation]:
    return [
        CheckpointOperation(5, MEMBERS, name="one"),
        RestoreOperation(5, MEMBERS, target=3, programs=MEMBERS),
    ]


def steps() -> set[str]:
    """Every step that an operation can be in while its members are asked something."""
    return {step.order.name.lower() for operation in operations() for step in operation._steps}


@pytest.mark.parametrize(
    "cause", [each for each in Cause if each not in (Cause.CATALOG, Cause.EMPTY)]
)
@pytest.mark.parametrize("step", sorted(steps()))
def test_every_failure_of_members_names_them_and_the_step(cause: Cause, step: str) -> None:
    for status in STATUSES:
        failure = Failure(cause, MEMBERS, step, "it said so", status)
        told = error_of(failure, "checkpoint @5 of group g", "g")
        assert isinstance(told, MmsnapError)
        assert f"checkpoint @5 of group g was aborted: member a, odd at {step}: " in told.message


def test_a_failure_that_is_no_members_names_the_step() -> None:
    refused = Failure(Cause.CATALOG, (), "decide", "no majority")
    assert "aborted: at decide: no majority" in error_of(refused, "checkpoint @5", "g").message
    nobody = CheckpointOperation(5, (), name="one")
    nobody.start(0)
    assert nobody.finished is not None
    assert nobody.finished.failure is not None
    told = error_of(nobody.finished.failure, "checkpoint @5", "g").message
    assert "aborted: at start: the group has no member attached" in told
