"""The fear: who has just taken a schedule over is taken for silent, and it moves on at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mmsnap.catalog.etcd import Etcd
from mmsnap.catalog.etcd_catalog import EtcdCatalog
from mmsnap.node import schedules
from mmsnap.node.ledger import Ledger
from mmsnap.node.schedules import SILENT_SECONDS, Schedules
from tests.catalog.test_catalog import member
from tests.catalog.test_schedules import SCHEDULE
from tests.etcd_cluster import etcd_cluster


class Clock:
    """What the nodes' own clocks show."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


async def mine(node: Schedules, ledger: Ledger) -> list[str]:
    """The groups whose schedules a look gives to a node."""
    everything = await ledger.ask(ledger.catalog.schedules, None)
    return [each.group for each in await node._mine(everything)]


def test_who_had_one_long_ago_and_takes_over_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(schedules, "time", clock)
    with etcd_cluster(1) as etcd:
        catalog = EtcdCatalog(Etcd(etcd.endpoints, "/claims/"))
        for name in ("owner", "next", "other"):
            catalog.put_node(name, "127.0.0.1:1")
            catalog.put_member(replace(member(name), node=name))
        catalog.put_schedule(SCHEDULE)
        assert catalog.claim_schedule("g", "owner", "")
        for name in ("owner", "next", "other"):
            catalog.beat(name)
        ledger = Ledger(catalog)
        groups: Any = SimpleNamespace(desk=SimpleNamespace(ledger=ledger))
        following, other = (Schedules(groups, name) for name in ("next", "other"))

        async def story() -> None:
            for _ in range(int(SILENT_SECONDS)):
                assert await mine(following, ledger) == await mine(other, ledger) == []
                clock.now += 1.0
            clock.now += 1.0
            assert await mine(following, ledger) == ["g"], "the owner is silent"
            assert await mine(other, ledger) == [], "and who took over is not"
            assert await mine(following, ledger) == ["g"]

        asyncio.run(story())
        ledger.close()
