"""strict: a write outside of an update must be found, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mmsnap
from mmsnap.testing import StrayWriteError, strict


@pytest.fixture
def app(pool: Path) -> Iterator[mmsnap.App]:
    app = mmsnap.open(pool, size="16MiB")
    yield app
    app.close(checkpoint=False)


def test_a_stray_write_is_found_at_the_next_update_and_named(app: mmsnap.App) -> None:
    a, b = app.array("a", 10_000), app.array("b", 10_000)
    watched = strict(app)
    with app.update():
        a[:] = 1
        b[:] = 1
    b[5000] = 2
    stray = "array 'b' in the pages of its bytes 36864 to 40960"
    with pytest.raises(StrayWriteError, match=stray), app.update():
        pytest.fail("it was not found")
    assert app.region.guard.depth == 0
    with app.update():
        a[:] = 3
    watched.stop()
    b[:] = 4
    with app.update():
        pass


def test_a_stray_write_is_found_before_a_checkpoint(app: mmsnap.App) -> None:
    a = app.array("a", 10)
    strict(app)
    a[0] = 1
    with pytest.raises(StrayWriteError) as told:
        app.checkpoint()
    assert told.value.arrays == ["a"]
    assert app.checkpoints() == []
    app.checkpoint()


def test_a_stray_write_is_found_at_the_end(app: mmsnap.App) -> None:
    a = app.array("a", 10)

    def stray() -> None:
        with strict(app):
            with app.update():
                a[0] = 1
            a[1] = 1

    with pytest.raises(StrayWriteError, match="'a'"):
        stray()


def test_what_the_app_writes_itself_is_no_stray(app: mmsnap.App) -> None:
    a = app.array("a", 10_000, np.uint8)
    app.array("wall", 10, np.uint8)
    app.checkpoint("one")
    with strict(app) as watched:
        app.state["n"] = {"a": [1]}
        app.array("b", 5000)
        app.resize("b", 10_000)
        with app.update():
            a[:] = 1
            app.state["n"]["a"].append(2)
            with app.update():
                a[:] = 2
            a[:] = 3
        watched.check()
        app.checkpoint()
        app.restore("latest")
        watched.check()
        with app.update():
            app.resize("a", 50_000)[:] = 1
        del app.arrays["b"]
        app.checkpoint()


def test_writes_of_another_thread_inside_its_update_are_no_strays(app: mmsnap.App) -> None:
    arrays = [app.array(f"a{number}", 5000) for number in range(2)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(100):
                with app.update():
                    arrays[number][:] = step
        except BaseException as error:
            failures.append(error)

    with strict(app):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            app.checkpoint()
        for thread in threads:
            thread.join()
    assert failures == []
