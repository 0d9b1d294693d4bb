"""Closing: what was meant to be kept is kept, and what is dropped is told."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap

from .conftest import Program


def test_a_normal_exit_takes_a_final_checkpoint(pool: Path) -> None:
    with mmsnap.open(pool) as app:
        app.state["n"] = 1
    with mmsnap.open(pool) as app:
        assert app.state["n"] == 1


def test_an_exception_takes_none_and_says_what_was_dropped(
    pool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        with mmsnap.open(pool) as app:
            app.state["n"] = 1
            app.checkpoint("kept")
            app.state["n"] = 2
            app.array("a", 10_000)[:] = 1
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert "closed by LookupError without a checkpoint" in caplog.text
    assert "since checkpoint kept is dropped" in caplog.text
    with mmsnap.open(pool) as app:
        assert (dict(app.state), list(app.arrays)) == ({"n": 1}, [])


@pytest.mark.parametrize(("choice", "kept"), [(True, 1), (False, 0), (None, 1)])
def test_close_lets_choose(pool: Path, choice: bool | None, kept: int) -> None:
    app = mmsnap.open(pool)
    app.state["n"] = 1
    app.close(choice)
    with mmsnap.open(pool) as again:
        assert len(again.state) == kept


def test_a_second_close_does_nothing(pool: Path) -> None:
    app = mmsnap.open(pool)
    app.close()
    app.close()
    with mmsnap.open(pool) as again:
        app.close()
        assert len(again.checkpoints()) == 1


CALLS: list[Callable[[mmsnap.App], Any]] = [
    lambda app: app.array("a"),
    lambda app: app.array("new", 5),
    lambda app: list(app.arrays),
    lambda app: app.resize("a", 50),
    lambda app: app.state["n"],
    lambda app: app.state.__setitem__("n", 2),
    lambda app: dict(app.state),
    lambda app: app.checkpoint(),
    lambda app: app.restore(),
    lambda app: app.checkpoints(),
    lambda app: app.delete_checkpoint("latest"),
    lambda app: app.pin("latest"),
    lambda app: app.prune(keep_last=1),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_app_says_so(pool: Path, call: Callable[[mmsnap.App], Any]) -> None:
    app = mmsnap.open(pool)
    app.array("a", 10)
    app.state["n"] = 1
    app.close()
    with pytest.raises(mmsnap.MmsnapError, match="app of region 'main' is closed"):
        call(app)


def test_a_final_checkpoint_that_fails_is_told_and_the_region_is_free(pool: Path) -> None:
    app = mmsnap.open(pool)
    app.before_checkpoint(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        app.close()
    mmsnap.open(pool).close()


def test_in_a_forked_child_memory_is_readable_and_everything_else_says_so(
    pool: Path, program: Program
) -> None:
    told = program(
        """
        import os, sys, warnings, mmsnap
        warnings.simplefilter("always")
        app = mmsnap.open(sys.argv[1])
        a = app.array("a", 10, int)
        a[:] = 1
        app.state["n"] = 1
        app.checkpoint("one")
        reading, writing = os.pipe()
        if os.fork() == 0:
            calls = [
                lambda: app.array("a"), lambda: app.array("b", 1), lambda: app.state["n"],
                lambda: app.state.__setitem__("n", 2), lambda: app.update().__enter__(),
                app.checkpoint, app.restore, app.checkpoints, app.close,
                lambda: app.resize("a", 20), lambda: list(app.arrays), lambda: app.pin("one"),
            ]
            refused = 0
            for call in calls:
                try:
                    call()
                except mmsnap.ForkedError as error:
                    refused += "fork" in str(error)
            a[:] = 7
            os.write(writing, f"{refused} of {len(calls)}, sum {a.sum()}".encode())
            os._exit(0)
        os.wait()
        print(os.read(reading, 100).decode())
        a[:] += 1
        app.checkpoint("two")
        app.close()
        print(mmsnap.open(sys.argv[1]).array("a").sum())
        """,
        pool,
    )
    assert told.stdout.split("\n")[:2] == ["12 of 12, sum 70", "20"]
    assert "views of 'a' are still in use in a forked child" in told.stderr


def test_the_child_of_a_fork_may_open_the_region_when_the_parent_is_gone(
    pool: Path, program: Program
) -> None:
    told = program(
        """
        import os, signal, sys, time, mmsnap
        app = mmsnap.open(sys.argv[1])
        app.state["n"] = 1
        app.checkpoint()
        parent = os.getpid()
        if os.fork() == 0:
            os.kill(parent, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                # The kernel gives a child a new parent before the old one's last
                # thread has let go of its files: being alone is seen by trying.
                try:
                    with mmsnap.open(sys.argv[1]) as again:
                        print(again.state["n"], flush=True)
                    break
                except mmsnap.InUseError:
                    time.sleep(0.01)
            os._exit(0)
        time.sleep(30)
        """,
        pool,
        expect=-9,
    )
    assert told.stdout == "1\n"


def test_an_exception_in_a_forked_child_is_not_hidden(pool: Path, program: Program) -> None:
    told = program(
        """
        import os, sys, mmsnap
        with mmsnap.open(sys.argv[1]) as app:
            if os.fork() == 0:
                raise LookupError("of the child")
            os.wait()
        """,
        pool,
    )
    assert "LookupError: of the child" in told.stderr
    assert "ForkedError" not in told.stderr


def test_views_after_close_and_reopen_are_apart(pool: Path) -> None:
    app = mmsnap.open(pool)
    old = app.array("a", 10, np.int64)
    with pytest.warns(ResourceWarning):
        app.close()
    with mmsnap.open(pool) as again:
        new = again.array("a")
        old[:] = 1
        assert new.sum() == 0


def test_a_program_that_ends_without_closing_is_told_what_it_dropped(
    pool: Path, program: Program
) -> None:
    told = program(
        """
        import sys, mmsnap
        app = mmsnap.open(sys.argv[1], every="1ms")
        app.before_checkpoint(lambda: app.state["n"])
        app.state["n"] = 1
        app.checkpoint("kept")
        app.array("a", 10_000)[:] = 1
        """,
        pool,
    )
    assert "closed by the end of the program without a checkpoint" in told.stderr
    with mmsnap.open(pool) as app:
        assert app.state["n"] == 1


def test_apps_that_were_forgotten_in_a_cycle_do_no_harm(pool: Path) -> None:
    for number in range(10):
        app = mmsnap.open(pool, f"region-{number}")
        app.after_restore(lambda _, kept=app: kept)
        app.close(checkpoint=False)
        mmsnap.open(pool, "forgotten").state["n"] = 1
        with pytest.warns(ResourceWarning, match="unclosed"):
            gc.collect()
