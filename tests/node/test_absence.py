"""A node that is down is so for all of its groups, also when one of them is busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mmsnap.catalog import MemberRecord, MemberState, OnLoss
from mmsnap.errors import AbortedError, BusyError
from mmsnap.node.absence import declare_down

LOST = "n2"


class Site:
    """A node beside the one that is lost, with three groups that had members there.

    It is catalog, ledger, mesh and groups at once. Members are to be begun afresh, so that nothing
    is owed to the others.
    """

    def __init__(self) -> None:
        self.desk = self.ledger = self.catalog = self.mesh = self
        self.busy = {"a"}
        self.down: list[str] = []
        self.dropped: list[str] = []

    async def answers(self, node: str) -> bool:
        return False

    async def ask(self, question: Callable[..., Any], *words: Any) -> Any:
        return question(*words)

    def set_node_down(self, node: str) -> None:
        self.down.append(node)

    def members(self, group: str = "") -> list[MemberRecord]:
        names = [name for name in "abc" if group in ("", name) and name not in self.dropped]
        state = MemberState.ATTACHED
        return [MemberRecord(name, "m", OnLoss.FRESH, state, 1, node=LOST) for name in names]

    def drop_member(self, group: str, member: str) -> None:
        self.dropped.append(group)

    def group(self, name: str) -> Group:
        return Group(self, name)


class Group:
    """One of them."""

    def __init__(self, desk: Site, name: str) -> None:
        self.desk, self.name = desk, name

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self.name in self.desk.busy:
            raise BusyError(f"group {self.name} is busy", subject=self.name)
        yield

    @asynccontextmanager
    async def whole_turn(self) -> AsyncIterator[None]:
        raise BusyError("nobody is to be restored here", subject=self.name)
        yield

    def tell(self, kind: str, **_: Any) -> None:
        """Nobody listens."""

    def about(self, **_: Any) -> dict[str, Any]:
        return {}


def test_a_busy_group_does_not_keep_the_others_from_knowing_what_they_lost() -> None:
    site: Any = Site()

    def declare() -> None:
        asyncio.run(declare_down(site, LOST, force=True, fence_command=()))

    with pytest.raises(AbortedError, match=r"is down, but .* group a is busy") as told:
        declare()
    assert told.value.retryable
    assert site.down == [LOST]
    assert site.dropped == ["b", "c"]
    site.busy.clear()
    declare()
    assert site.dropped == ["b", "c", "a"]
