"""Five hundred cuts of real processes over three hosts, in storms; and ten minutes of one."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.nodes.site import Node
from tests.nodes.storm import Storm, storm
from tests.prove.conftest import Report

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")

_LOOP_SECONDS = 600.0
_WARM_SECONDS = 120.0


def test_five_hundred_cuts_in_storms(report: Report) -> None:
    cuts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for seed in range(2, 7):
        with storm(seed, deadly=True) as blowing:
            for _ in range(4):
                blowing.blow(25)
            cuts.update(blowing.cuts)
            faults.update(blowing.faults)
    report("500 cuts in storms", [f"cuts: {dict(cuts)}", f"faults: {dict(faults)}"])
    assert cuts["committed"] >= 100, "it was never calm enough to show anything"


@dataclass(frozen=True, slots=True)
class Weight:
    """What a service takes."""

    memory_bytes: int
    descriptors: int
    pool_bytes: int


def test_ten_minutes_of_storm_leave_the_services_as_they_were(report: Report) -> None:
    with storm(7, deadly=False) as blowing:
        begun = time.monotonic()
        early: list[Weight] = []
        while time.monotonic() - begun < _LOOP_SECONDS:
            blowing.blow(20)
            if not early and time.monotonic() - begun > _WARM_SECONDS:
                early = _weigh_all(blowing)
        late = _weigh_all(blowing)
        cuts = dict(blowing.cuts)
    pairs = list(zip(early, late, strict=True))
    lines = [f"n{n}: {one} -> {other}" for n, (one, other) in enumerate(pairs, 1)]
    report("ten minutes of storm", [*lines, f"cuts: {cuts}"])
    for one, other in pairs:
        assert other.memory_bytes < 1.15 * one.memory_bytes + (8 << 20)
        assert other.descriptors <= one.descriptors + 8
        assert other.pool_bytes < 1.3 * one.pool_bytes + (4 << 20)


def _weigh_all(blowing: Storm) -> list[Weight]:
    return [_weigh(node) for node in blowing.nodes.nodes]


def _weigh(node: Node) -> Weight:
    pid = node.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    files = (path.lstat().st_blocks * 512 for path in node.pool.rglob("*"))
    return Weight(pages * 4096, len(os.listdir(f"/proc/{pid}/fd")), sum(files))
