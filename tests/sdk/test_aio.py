"""asyncio: the loop must go on while checkpoints block, and nothing may wait for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap.aio
from mmsnap.aio import AsyncApp


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


def test_the_same_names_as_coroutines(pool: Path) -> None:
    async def main() -> None:
        app = await mmsnap.aio.open(pool, size="16MiB")
        assert app.restored is None
        a = app.array("a", 10, np.int64)
        with app.update():
            a[:] = 1
            app.state["n"] = 1
        one = await app.checkpoint("one", labels={"a": "b"})
        with app.update():
            a[:] = 2
            app.state["n"] = 2
        assert await app.restore("one") == one
        assert (a.sum(), app.state["n"]) == (10, 1)
        await app.checkpoint()
        await app.checkpoint()
        await app.pin("@2")
        await app.unpin("@2")
        assert [each.epoch for each in await app.prune(keep_last=1, dry_run=True)] == [2]
        app.resize("a", 20)
        await app.restore()
        del a
        await app.delete_checkpoint("@2")
        assert (await app.checkpoints())[0].name == "one"
        assert list(app.arrays) == ["a"]
        assert app.last_error is None
        await app.close()
        await app.close()

    with pytest.raises(BufferError):
        run(main)


def test_async_with_keeps_at_a_normal_end_and_not_after_an_exception(pool: Path) -> None:
    async def write(value: int, *, fail: bool) -> None:
        async with mmsnap.aio.open(pool) as app:
            app.state["n"] = value
            if fail:
                raise LookupError

    async def main() -> None:
        await write(1, fail=False)
        with pytest.raises(LookupError):
            await write(2, fail=True)
        async with mmsnap.aio.open(pool) as app:
            assert app.state["n"] == 1

    run(main)


def test_the_loop_goes_on_during_a_checkpoint(pool: Path) -> None:
    async def main() -> None:
        async with mmsnap.aio.open(pool, size="64MiB") as app:
            app.array("a", 4_000_000, np.int64)[:] = 1
            ticks = 0
            taking = asyncio.create_task(app.checkpoint())
            while not taking.done():
                ticks += 1
                await asyncio.sleep(0)
            assert ticks > 2
            assert (await taking).consistency == "application"

    run(main)


CALLS: list[Callable[[AsyncApp], Awaitable[object]]] = [
    lambda app: app.checkpoint(),
    lambda app: app.restore(),
    lambda app: app.close(),
]


@pytest.mark.parametrize("call", CALLS)
def test_inside_an_update_of_the_same_task_it_is_refused_at_once(
    pool: Path, call: Callable[[AsyncApp], Awaitable[object]]
) -> None:
    async def main() -> None:
        async with mmsnap.aio.open(pool) as app:
            await app.checkpoint()
            with app.update():
                with pytest.raises(RuntimeError, match="inside an update"):
                    await call(app)
                with app.update():
                    app.state["n"] = 1
            assert (await app.checkpoint()).consistency == "application"

    run(main)


def test_a_checkpoint_waits_for_the_update_of_another_task(pool: Path) -> None:
    async def main() -> None:
        async with mmsnap.aio.open(pool) as app:
            entered, leave = asyncio.Event(), asyncio.Event()

            async def hold() -> None:
                with app.update():
                    app.state["begun"] = True
                    entered.set()
                    await leave.wait()
                    app.state["ended"] = True

            holder = asyncio.create_task(hold())
            await entered.wait()
            taking = asyncio.create_task(app.checkpoint("whole"))
            await asyncio.sleep(0.05)
            assert not taking.done()
            leave.set()
            await holder
            await taking
            app.state.clear()
            await app.restore("whole")
            assert dict(app.state) == {"begun": True, "ended": True}

    run(main)


def test_automatic_checkpoints_beside_a_loop(pool: Path) -> None:
    async def main() -> None:
        async with mmsnap.aio.open(pool, every="5ms", keep_last=3) as app:
            for number in range(40):
                with app.update():
                    app.state["n"] = number
                await asyncio.sleep(0.002)
            assert len(await app.checkpoints()) >= 1
            assert app.last_error is None

    run(main)
