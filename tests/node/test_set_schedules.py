"""The fear: who sets a schedule is told of an error, though it was set."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mmsnap.node.set_schedules import set_schedule
from mmsnap.rpc.v1 import mmsnap_pb2 as pb


class _Catalog:
    """Somebody removes each schedule as soon as it is set."""

    def put_schedule(self, schedule: Any) -> None:
        pass

    def schedules(self, group: str | None) -> list[Any]:
        return []

    def schedule_outcomes(self, group: str | None) -> dict[str, Any]:
        return {}

    def groups(self) -> list[Any]:
        return []


async def set_by(asked: pb.Schedule) -> pb.Schedule:
    async def ask(method: Any, *words: Any) -> Any:
        return method(*words)

    ledger = SimpleNamespace(ask=ask, catalog=_Catalog())
    desk: Any = SimpleNamespace(ledger=ledger, schedules_changed=asyncio.Event())
    return await set_schedule(desk, "g", asked, replicas=0)


def test_one_that_was_removed_at_once_is_told_as_it_was_set() -> None:
    assert asyncio.run(set_by(pb.Schedule(every_ns=10**9))).every_ns == 10**9


def test_what_no_catalog_can_write_is_refused() -> None:
    with pytest.raises(ValueError, match="hundred years"):
        asyncio.run(set_by(pb.Schedule(every_ns=10**9, keep_within_ns=2**63)))
