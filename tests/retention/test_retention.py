"""The rule of retention: what it lets go, what it never does, what a wrong clock can do to it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest

from mmsnap.retention import Retention, prunable

HOUR_NS = 3600 * 10**9
NOW_NS = 1_000 * HOUR_NS


@dataclass(frozen=True)
class Taken:
    """Number N was taken 10 - N hours ago."""

    epoch: int
    automatic: bool = True
    pinned: bool = False
    ahead_ns: int = 0  # by how much the clock of its node was

    @property
    def created_ns(self) -> int:
        return NOW_NS - (10 - self.epoch) * HOUR_NS + self.ahead_ns


ALL = [Taken(1), Taken(2, pinned=True), Taken(3, automatic=False), *map(Taken, (4, 5, 6))]


def gone(
    keep_last: int | None = None,
    keep_within_ns: int | None = None,
    *,
    needed: tuple[int | None, ...] = (None, 0),
    taken: list[Taken] = ALL,
    our_clock_ns: int = NOW_NS,
) -> list[int]:
    retention = Retention(keep_last, keep_within_ns)
    chosen = prunable(
        taken, retention, age_ns=lambda each: our_clock_ns - each.created_ns, needed=needed
    )
    return [each.epoch for each in chosen]


def test_which_checkpoints_a_policy_lets_go() -> None:
    assert gone(keep_last=1) == [1, 4, 5]
    assert gone(keep_last=0) == [1, 4, 5, 6]
    assert gone(keep_last=100) == []
    assert gone(keep_within_ns=5 * HOUR_NS) == [1, 4]
    assert gone(keep_last=2, keep_within_ns=7 * HOUR_NS) == [1]
    assert gone(keep_last=1, taken=ALL[::-1]) == [1, 4, 5], "by epoch, however they are listed"


def test_the_head_and_what_a_restore_waits_for_stay_whatever_the_policy_says() -> None:
    assert gone(keep_last=0, needed=(4, 0)) == [1, 5, 6]
    assert gone(keep_last=0, needed=(6, 1)) == [4, 5]
    assert gone(keep_within_ns=0, needed=(1, 5)) == [4, 6]


def test_a_policy_that_says_nothing_does_not_let_everything_go() -> None:
    with pytest.raises(ValueError, match="keep_last= or keep_within="):
        Retention()
    for nonsense in ((-1, None), (None, -1)):
        with pytest.raises(ValueError, match="less than nothing"):
            Retention(*nonsense)


def test_clocks_an_hour_apart_keep_or_drop_by_that_hour_and_spare_the_newest_and_the_head() -> None:
    chance = random.Random(3)
    for _ in range(300):
        wrong_ns = chance.choice((-1, 1)) * chance.randrange(HOUR_NS + 1)
        taken = [replace(each, ahead_ns=wrong_ns) for each in ALL if chance.random() < 0.8]
        within_ns = chance.randrange(12) * HOUR_NS
        keep_last, head = chance.randrange(4), chance.choice([each.epoch for each in ALL])
        automatic = sorted(each.epoch for each in taken if each.automatic)
        spared = {head, *automatic[len(automatic) - min(keep_last, len(automatic)) :]}
        went = set(gone(keep_last, within_ns, needed=(head,), taken=taken))
        assert not went & spared
        right = [replace(each, ahead_ns=0) for each in taken]
        for shift_ns, is_less in ((HOUR_NS, True), (-HOUR_NS, False)):
            bound = set(gone(keep_last, max(within_ns + shift_ns, 0), needed=(head,), taken=right))
            assert (bound <= went) if is_less else (went <= bound or within_ns < HOUR_NS)


def test_a_checkpoint_from_the_future_is_young() -> None:
    taken = [replace(each, ahead_ns=24 * HOUR_NS) for each in ALL]
    assert gone(keep_within_ns=0, taken=taken) == []
    assert gone(keep_last=1, taken=taken) == [1, 4, 5], "how many stay is no matter of clocks"
    one_is_ahead = [replace(ALL[0], ahead_ns=24 * HOUR_NS), *ALL[1:]]
    assert gone(keep_last=1, taken=one_is_ahead) == [1, 4, 5], "nor is which of them are the newest"
