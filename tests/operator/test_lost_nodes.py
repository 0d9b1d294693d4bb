"""The fear: members of a node that only is silent come up a second time elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from mmsnap_operator.lost_nodes import TAINT, shut_off


def node(ready: str | None, *taints: str) -> dict[str, Any]:
    told = [] if ready is None else [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": "n1"},
        "spec": {"taints": [{"key": key, "effect": "NoExecute"} for key in taints]},
        "status": {"conditions": told},
    }


@pytest.mark.parametrize("ready", ["Unknown", "False", None])
def test_who_is_vouched_for_and_not_ready_is_shut_off(ready: str | None) -> None:
    assert shut_off([node(ready, "node.kubernetes.io/unreachable", TAINT)]) == {"n1"}


def test_who_is_only_silent_is_not() -> None:
    assert shut_off([node("Unknown", "node.kubernetes.io/unreachable"), node("Unknown")]) == set()


def test_who_is_ready_is_not_whatever_is_said_of_it() -> None:
    assert shut_off([node("True", TAINT)]) == set()


def test_nodes_without_taints() -> None:
    plain = node("Unknown")
    del plain["spec"]["taints"]
    assert shut_off([plain]) == set()
