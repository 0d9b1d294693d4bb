"""The fear: etcd says nothing, and each who asks has to find that out anew, one after the other."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from mmsnap.catalog import NoMajorityError, SqliteCatalog
from mmsnap.node.ledger import Ledger


def test_who_stands_in_line_behind_a_call_without_an_answer_is_told_at_once(
    tmp_path: Path,
) -> None:
    asked: list[int] = []

    def silent(number: int) -> None:
        asked.append(number)
        time.sleep(0.2)
        raise NoMajorityError("etcd does not answer")

    async def run() -> list[object]:
        ledger = Ledger(SqliteCatalog(tmp_path / "catalog"), watched=True)
        try:
            line = [ledger.ask(silent, number) for number in range(5)]
            return list(await asyncio.gather(*line, return_exceptions=True))
        finally:
            ledger.close()

    told = asyncio.run(run())
    assert [type(each) for each in told] == [NoMajorityError] * 5
    assert asked == [0]


def test_without_somebody_who_takes_the_silence_back_each_call_is_made(tmp_path: Path) -> None:
    def silent() -> None:
        raise NoMajorityError("etcd does not answer")

    async def run() -> int:
        ledger = Ledger(SqliteCatalog(tmp_path / "catalog"))
        try:
            with pytest.raises(NoMajorityError):
                await ledger.ask(silent)
            return await ledger.ask(lambda: 7)
        finally:
            ledger.close()

    assert asyncio.run(run()) == 7
