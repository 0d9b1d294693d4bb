"""A million operations of the bank on many nodes, in the simulator."""

from __future__ import annotations

from tests.group.bank_world import Rules, play

_SEEDS = 125_000  # of eight operations each


def test_a_million_operations_of_many_nodes_are_consistent() -> None:
    for seed in range(_SEEDS):
        try:
            play(seed, Rules())
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
