"""Automatic checkpoints and background failures: nothing may fail without anybody knowing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mmsnap
from mmsnap_sdk.schedule import Schedule


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_they_are_taken_by_themselves_and_the_newest_are_kept(pool: Path) -> None:
    with mmsnap.open(pool, every="10ms", keep_last=3) as app:
        app.checkpoint("named")
        wait_until(lambda: app.checkpoints()[-1].epoch > 8)
        kept = app.checkpoints()
        assert kept[0].name == "named"
        assert 1 <= len(kept) - 1 <= 4
    with mmsnap.open(pool) as app:
        assert [each.automatic for each in app.checkpoints()] == [False, True, True, True]


def test_ten_are_kept_when_nothing_is_said(pool: Path) -> None:
    with mmsnap.open(pool, every="2ms") as app:
        wait_until(lambda: app.checkpoints()[-1:] and app.checkpoints()[-1].epoch > 15)
    with mmsnap.open(pool, mode="r") as reader:
        assert len(reader.checkpoints()) == 10


def test_their_hooks_run_and_updates_are_whole(pool: Path) -> None:
    hooks: list[str] = []
    with mmsnap.open(pool, size="16MiB", every="3ms", keep_last=50) as app:
        a, b = app.array("a", 2000, np.int64), app.array("b", 2000, np.int64)
        app.before_checkpoint(lambda: hooks.append(threading.current_thread().name))
        for number in range(1, 2000):
            with app.update():
                a[:] = number
                app.state["n"] = number
                b[:] = number
        assert set(hooks) == {"mmsnap-main"}
        for checkpoint in app.checkpoints():
            app.restore(checkpoint.name)
            assert {*a.tolist(), *b.tolist()} == {app.state.get("n", 0)}


def test_a_failure_is_logged_kept_and_raised_once(
    pool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = mmsnap.open(pool, every="5ms")
    failing = True

    @app.before_checkpoint
    def hook() -> None:
        if failing:
            raise LookupError("of the hook")

    wait_until(lambda: app.last_error is not None)
    failing = False
    wait_until(lambda: app.checkpoints())
    assert "an automatic checkpoint failed: of the hook" in caplog.text
    with pytest.raises(LookupError, match="of the hook"):
        app.checkpoint()
    assert isinstance(app.last_error, LookupError)
    app.checkpoint()
    app.close()


def test_a_failure_nobody_has_seen_is_raised_by_close_which_closes(pool: Path) -> None:
    app = mmsnap.open(pool, every="5ms")
    outcomes: list[mmsnap.Outcome] = []

    @app.before_checkpoint
    def once() -> None:
        if not outcomes:
            raise LookupError("of the hook")

    app.after_checkpoint(outcomes.append)
    wait_until(lambda: len(outcomes) > 1)
    app.state["n"] = 1
    with pytest.raises(LookupError):
        app.close()
    app.close()
    with mmsnap.open(pool) as again:
        assert again.state["n"] == 1


def test_they_stop_while_an_update_is_half_done(pool: Path) -> None:
    with mmsnap.open(pool, every="5ms", keep_last=100) as app:
        wait_until(lambda: len(app.checkpoints()) > 1)

        def half_done() -> None:
            with app.update():
                app.state["n"] = "half"
                raise LookupError

        with pytest.raises(LookupError):
            half_done()
        time.sleep(0.02)
        before = len(app.checkpoints())
        time.sleep(0.05)
        assert len(app.checkpoints()) == before
        app.restore()
        assert "n" not in app.state
        wait_until(lambda: len(app.checkpoints()) > before)


def test_an_update_that_stays_open_is_a_failure_told_later(pool: Path) -> None:
    app = mmsnap.open(pool, every="5ms")
    with app.update():
        time.sleep(0.05)
        assert app.last_error is None, "it waits for the update"
    wait_until(lambda: app.checkpoints())
    app.close()


def test_stopping_waits_for_what_is_under_way() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.05)
        ended.set()

    schedule = Schedule("test", work)
    schedule.start(interval_ns=1)
    begun.wait(20)
    schedule.stop()
    assert ended.is_set()


def test_none_is_taken_after_close(pool: Path) -> None:
    app = mmsnap.open(pool, every="1ms")
    wait_until(lambda: app.checkpoints())
    app.close(checkpoint=False)
    assert not [thread for thread in threading.enumerate() if thread.name == "mmsnap-main"]
    with mmsnap.open(pool, mode="r") as reader:
        count = len(reader.checkpoints())
        time.sleep(0.02)
        assert len(reader.checkpoints()) == count
