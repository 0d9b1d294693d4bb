"""The fear: a node is told as down, and one busy group keeps the others' members for attached."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mmsnap.errors import AbortedError, BusyError
from mmsnap.node import absence


class _Cluster:
    """Groups `a`, `b` and `c` with members on n2; which of them are busy how often."""

    def __init__(self, busy: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost: list[str] = []
        self._busy = busy
        monkeypatch.setattr(absence, "_take_for_lost", self._take_for_lost)

    async def declare_down(self) -> None:
        async def answers(node: str) -> bool:
            return False

        catalog = SimpleNamespace(set_node_down="down", members="members")
        mesh = SimpleNamespace(answers=answers)
        desk = SimpleNamespace(mesh=mesh, ledger=SimpleNamespace(ask=self._ask, catalog=catalog))
        groups: Any = SimpleNamespace(desk=desk)
        await absence.declare_down(groups, "n2", force=True, fence_command=())

    async def _ask(self, method: str, *words: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(group=name, node="n2") for name in "abc"]

    async def _take_for_lost(self, groups: Any, name: str, node: str) -> None:
        if self._busy.get(name, 0):
            self._busy[name] -= 1
            raise BusyError(f"group {name} is busy with another operation")
        self.lost.append(name)


def test_the_others_are_not_kept_waiting_and_who_is_busy_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = _Cluster({"a": 1, "b": 2}, monkeypatch)
    asyncio.run(cluster.declare_down())
    assert cluster.lost == ["c", "a", "b"]


def test_who_stays_busy_is_told_and_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = _Cluster({"b": 4}, monkeypatch)
    with pytest.raises(AbortedError, match=r"is down, but .* in b: group b is busy") as told:
        asyncio.run(cluster.declare_down())
    assert told.value.retryable
    assert cluster.lost == ["a", "c"]
    asyncio.run(cluster.declare_down())
    assert cluster.lost == ["a", "c", "a", "c", "b"]
