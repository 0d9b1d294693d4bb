"""Hooks: what must happen before a cut must have happened, or there is no checkpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mmsnap
import mmsnap.aio


@pytest.fixture
def app(pool: Path) -> Iterator[mmsnap.App]:
    app = mmsnap.open(pool, size="16MiB")
    yield app
    app.close(checkpoint=False)


def test_their_order_and_what_they_are_given(app: mmsnap.App) -> None:
    calls: list[object] = []

    @app.before_checkpoint
    def first() -> None:
        calls.append("first")
        app.state["from hook"] = 1

    @app.before_checkpoint
    def second() -> None:
        calls.append("second")

    app.after_checkpoint(calls.append)
    app.after_restore(calls.append)
    taken = app.checkpoint("one")
    outcome = calls[2]
    assert calls[:2] == ["second", "first"]
    assert isinstance(outcome, mmsnap.Outcome)
    assert (outcome.committed, outcome.checkpoint, outcome.error) == (True, taken, None)
    app.state["from hook"] = 2
    restored = app.restore("one")
    assert calls[3:] == [restored]
    assert app.state["from hook"] == 1
    assert taken.hook_ns > 0


def test_a_before_hook_that_fails_prevents_the_checkpoint(app: mmsnap.App) -> None:
    outcomes: list[mmsnap.Outcome] = []
    app.before_checkpoint(lambda: 1 / 0)
    app.after_checkpoint(outcomes.append)
    with pytest.raises(ZeroDivisionError) as told:
        app.checkpoint()
    assert any("before_checkpoint hook" in note or "hook" in note for note in told.value.__notes__)
    assert [(outcome.committed, outcome.error) for outcome in outcomes] == [(False, told.value)]
    assert app.checkpoints() == []


def test_a_before_hook_that_takes_too_long_prevents_the_checkpoint(app: mmsnap.App) -> None:
    @app.before_checkpoint
    def slow() -> None:
        time.sleep(0.1)

    with pytest.raises(mmsnap.QuiesceTimeoutError, match="slow did not end within 20"):
        app.checkpoint(timeout="20ms")
    assert app.checkpoint(timeout="5s").hook_ns >= 10**8


def test_an_after_hook_that_fails_is_told_by_the_next_call_and_stops_nobody(
    app: mmsnap.App, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    @app.after_checkpoint
    def fails(outcome: mmsnap.Outcome) -> None:
        calls.append("failing")
        if len(calls) == 1:
            raise LookupError("of the hook")

    app.after_checkpoint(lambda outcome: calls.append("other"))
    taken = app.checkpoint()
    assert calls == ["failing", "other"]
    assert app.checkpoints() == [taken]
    assert isinstance(app.last_error, LookupError)
    assert "after_checkpoint hook" in caplog.text
    with pytest.raises(LookupError, match="of the hook"):
        app.checkpoint()
    assert app.checkpoints() == [taken]
    app.checkpoint()
    assert isinstance(app.last_error, LookupError), "it stays to be looked at"


def test_a_checkpoint_from_a_hook_is_refused_and_not_a_deadlock(app: mmsnap.App) -> None:
    app.before_checkpoint(lambda: app.checkpoint(timeout="50ms"))
    with pytest.raises(mmsnap.QuiesceTimeoutError, match="a hook must not"):
        app.checkpoint()


def test_coroutine_hooks_run_on_their_loop_meanwhile(pool: Path) -> None:
    calls: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with mmsnap.aio.open(pool, size="16MiB") as app:

            @app.before_checkpoint
            async def before() -> None:
                await asyncio.sleep(0.01)
                calls.append(("before", asyncio.get_running_loop() is loop))

            @app.after_checkpoint
            async def after(outcome: mmsnap.Outcome) -> None:
                calls.append(outcome.committed)

            @app.after_restore
            async def restored(checkpoint: mmsnap.Checkpoint) -> None:
                calls.append(checkpoint.name)

            await app.checkpoint("one")
            await app.restore("one")
            assert calls == [("before", True), True, "one"]

    asyncio.run(main())


def test_a_coroutine_hook_that_hangs_is_cancelled(pool: Path) -> None:
    ended: list[str] = []

    async def main() -> None:
        async with mmsnap.aio.open(pool, size="16MiB") as app:

            @app.before_checkpoint
            async def hang() -> None:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    ended.append("cancelled")
                    raise

            with pytest.raises(mmsnap.QuiesceTimeoutError, match="hang did not end"):
                await app.checkpoint(timeout="50ms")
            await asyncio.sleep(0)
            assert ended == ["cancelled"]
            await app.close(checkpoint=False)

    asyncio.run(main())


def test_a_coroutine_hook_asked_for_on_its_own_loop_is_an_error_not_a_deadlock(
    app: mmsnap.App,
) -> None:
    async def main() -> None:
        @app.before_checkpoint
        async def hook() -> None:
            pass

        with pytest.raises(RuntimeError, match=r"mmsnap\.aio"):
            app.checkpoint()

    asyncio.run(main())
    with pytest.raises(RuntimeError, match=r"mmsnap\.aio"):
        app.checkpoint()


def test_hooks_see_the_restored_arrays(app: mmsnap.App) -> None:
    a = app.array("a", 10, np.int64)
    sums: list[int] = []
    app.after_restore(lambda checkpoint: sums.append(int(app.array("a").sum())))
    app.checkpoint("zeros")
    a[:] = 1
    app.restore("zeros")
    assert sums == [0]
