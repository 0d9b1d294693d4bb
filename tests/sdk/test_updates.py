"""Updates: no checkpoint may fall inside one, and what could break that is refused at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import mmsnap


@pytest.fixture
def app(pool: Path) -> Iterator[mmsnap.App]:
    app = mmsnap.open(pool, size="16MiB")
    yield app
    app.close(checkpoint=False)


def test_no_checkpoint_tears_an_update(app: mmsnap.App) -> None:
    pairs = [[app.array(f"{side} {n}", 5000, np.int64) for side in "lr"] for n in range(2)]
    stop = threading.Event()

    def write(number: int) -> None:
        left, right = pairs[number]
        while not stop.is_set():
            with app.update():
                left[:] += 1
                app.state[f"n {number}"] = int(left[0])
                right[:] += 1

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    names = [app.checkpoint(f"c{number}").name for number in range(20)]
    stop.set()
    for writer in writers:
        writer.join()
    for name in names:
        app.restore(name)
        for number, (left, right) in enumerate(pairs):
            values = {*left.tolist(), *right.tolist(), app.state.get(f"n {number}", 0)}
            assert len(values) == 1, f"{name} is torn: {values}"
    assert all(taken.consistency == "application" for taken in app.checkpoints())


@pytest.mark.parametrize(
    "call",
    [
        lambda app: app.checkpoint(),
        lambda app: app.restore(),
        lambda app: app.close(),
    ],
    ids=["checkpoint", "restore", "close"],
)
def test_what_would_wait_for_itself_is_refused_at_once(
    app: mmsnap.App, call: Callable[[mmsnap.App], object]
) -> None:
    app.checkpoint()
    hooks: list[str] = []
    app.before_checkpoint(lambda: hooks.append("ran"))
    with app.update():
        begun = time.monotonic()
        with pytest.raises(RuntimeError, match="inside an update"):
            call(app)
        assert time.monotonic() - begun < 1
        app.state["still"] = "open"
    assert hooks == []
    app.checkpoint()


def test_an_update_that_stays_open_makes_the_checkpoint_time_out_and_loses_nothing(
    app: mmsnap.App,
) -> None:
    a = app.array("a", 10, np.int64)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with app.update():
            a[:] = 1
            entered.set()
            leave.wait(30)
            app.state["done"] = True

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    with pytest.raises(mmsnap.QuiesceTimeoutError) as told:
        app.checkpoint(timeout="50ms")
    assert told.value.retryable
    assert isinstance(told.value, TimeoutError)
    leave.set()
    holder.join()
    app.checkpoint("whole")
    a[:] = 0
    app.restore("whole")
    assert (a.sum(), app.state["done"]) == (10, True)


def test_an_exception_that_escapes_makes_checkpoints_crash_consistent_until_accepted(
    app: mmsnap.App, caplog: pytest.LogCaptureFixture
) -> None:
    a = app.array("a", 10, np.int64)

    def half_done() -> None:
        with app.update():
            a[:5] = 1
            with app.update():
                raise LookupError("stop here")

    app.checkpoint("sound")
    with pytest.raises(LookupError):
        half_done()
    assert "LookupError escaped an update" in caplog.text
    assert a.tolist() == [1] * 5 + [0] * 5, "nothing is undone"
    assert app.checkpoint("partial").consistency == "crash"
    assert app.checkpoint("accepted", accept_partial=True).consistency == "application"
    assert app.checkpoint("after").consistency == "application"
    with pytest.raises(LookupError):
        half_done()
    app.restore("sound")
    assert app.checkpoint().consistency == "application"


def test_who_begins_at_half_an_update_is_told(pool: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mmsnap.open(pool, size="16MiB") as app:
        app.checkpoint("sound")
        with pytest.raises(LookupError), app.update():
            raise LookupError("stop here")
        app.checkpoint("torn")
    caplog.clear()
    with mmsnap.open(pool) as app:
        assert "begins where an exception had left an update half done" in caplog.text
        assert app.checkpoint("still").consistency == "crash"
        app.restore("sound")
        assert app.checkpoint("again").consistency == "application"
    caplog.clear()
    with mmsnap.open(pool):
        assert "half done" not in caplog.text


def test_an_exception_that_does_not_escape_changes_nothing(app: mmsnap.App) -> None:
    with app.update():
        try:
            with app.update():
                raise LookupError
        except LookupError:
            pass
    assert app.checkpoint().consistency == "application"


def test_another_task_of_the_same_thread_can_not_enter(app: mmsnap.App) -> None:
    async def hold(entered: asyncio.Event, leave: asyncio.Event) -> None:
        with app.update():
            entered.set()
            with app.update():
                await leave.wait()

    async def main() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()
        holder = asyncio.create_task(hold(entered, leave))
        await entered.wait()
        with pytest.raises(RuntimeError, match="task"), app.update():
            pass
        leave.set()
        await holder
        with app.update():
            pass

    asyncio.run(main())
    assert app.checkpoint().consistency == "application"


def test_a_value_read_in_an_update_is_written_although_the_update_fails(
    app: mmsnap.App,
) -> None:
    app.state["log"] = []

    def half_done() -> None:
        with app.update():
            app.state["log"].append(1)
            raise LookupError

    with pytest.raises(LookupError):
        half_done()
    assert app.state["log"] == [1], "nothing is undone, neither in arrays nor in state"


def test_checkpoints_without_any_update_in_a_single_thread(app: mmsnap.App) -> None:
    a = app.array("a", 10, np.int64)
    for number in range(5):
        a[:] = number
        app.state["n"] = number
        taken = app.checkpoint(f"c{number}")
        assert taken.consistency == "application"
    app.restore("c2")
    assert (a.tolist(), app.state["n"]) == ([2] * 10, 2)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda app: app.array("absent"),
        lambda app: app.array("big", 1 << 40),
        lambda app: app.array("objects", 1, object),
        lambda app: app.array("n" * 100_000, 1),
        lambda app: app.resize("absent", 11),
        lambda app: app.resize("a", 1 << 40),
        lambda app: app.arrays.__delitem__("absent"),
        lambda app: app.state["absent"],
        lambda app: app.state.__delitem__("absent"),
        lambda app: app.state.pop("absent"),
        lambda app: app.state.setdefault("x", object()),
        lambda app: app.state.__setitem__("x", bytes(1 << 30)),
        lambda app: app.state.__setitem__("x" * 100_000, 1),
    ],
)
def test_a_call_that_changed_nothing_leaves_nothing_half_done(
    pool: Path, mistake: Callable[[mmsnap.App], object]
) -> None:
    with mmsnap.open(pool, size="4MiB") as app:
        app.array("a", 10, np.int64)
        with pytest.raises(Exception, match=r"."):
            mistake(app)
        assert app.state.get("absent") is None
        assert app.checkpoint().consistency == "application"


def test_an_interrupt_in_the_middle_of_a_call_is_an_update_cut_short(pool: Path) -> None:
    with mmsnap.open(pool, size="4MiB") as app, pytest.MonkeyPatch.context() as patched:

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(app.state._store._cells, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            app.state["x"] = 1
        assert app.checkpoint().consistency == "crash"
