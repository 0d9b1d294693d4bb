"""The bank keeps its books in every checkpoint and after every restore; a broken rule shows."""

from __future__ import annotations

import pytest

from tests.group.bank_world import Rules, play

SEEDS = 2000  # of eight operations each, most of them cuts


def search(rules: Rules) -> int:
    """Plays every seed; the first that fails is named."""
    kept = 0
    for seed in range(SEEDS):
        try:
            kept += play(seed, rules)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return kept


def test_ten_thousand_cuts_of_many_nodes_are_consistent() -> None:
    kept = search(Rules())
    assert kept > SEEDS, "most were aborted: this shows little"


@pytest.mark.parametrize(
    "broken",
    [
        "settling_fences",
        "commits_are_fenced",
        "sealed_ones_ask",
        "held_ones_stand_still",
        "the_late_catch_up",
    ],
)
def test_a_broken_rule_is_found(broken: str) -> None:
    with pytest.raises(AssertionError):
        search(Rules(**{broken: False}))
