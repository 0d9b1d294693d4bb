"""State: what a program believes it has set must be set, or it must be told."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap


@pytest.fixture
def app(pool: Path) -> Iterator[mmsnap.App]:
    with mmsnap.open(pool, size="16MiB") as app:
        yield app


def reopened(app: mmsnap.App, **options: Any) -> mmsnap.App:
    app.close()
    return mmsnap.open(app.region.pool, **options)


def test_it_is_a_mapping_that_survives(app: mmsnap.App) -> None:
    app.state["n"] = 1
    app.state.update(a=[1, {"b": b"c"}], t=(1, 2))
    del app.state["n"]
    assert app.state.pop("t") == (1, 2)
    assert app.state.pop("t", "none") == "none"
    assert app.state.setdefault("s", "set") == "set"
    with reopened(app) as again:
        assert dict(again.state) == {"a": [1, {"b": b"c"}], "s": "set"}
        assert list(again.state) == ["a", "s"]
        assert len(again.state) == 2
        assert "n" not in again.state
        again.state.clear()
        assert again.state == {}


def test_what_was_assigned_is_what_counts_not_what_became_of_it(app: mmsnap.App) -> None:
    mine = {"x": 1}
    app.state["cfg"] = mine
    mine["x"] = 2
    assert app.state["cfg"] == {"x": 1}


CHANGES: list[Callable[[Any], object]] = [
    lambda state: state["d"].__setitem__("x", 2),
    lambda state: state["d"].update(x=2),
    lambda state: state["d"].pop("x"),
    lambda state: state["d"].setdefault("new", []),
    lambda state: state["d"].clear(),
    lambda state: state["d"]["inner"].append(1),
    lambda state: state["d"]["inner"][0].update(deep=1),
    lambda state: state["d"].__ior__({"y": 1}),
    lambda state: state["l"].append(1),
    lambda state: state["l"].sort(),
    lambda state: state["l"].__setitem__(slice(0, 2), []),
    lambda state: state["l"].__iadd__([1]),
    lambda state: state["t"][1].append(1),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_nested_change_outside_an_update_is_an_error_not_a_loss(
    app: mmsnap.App, change: Callable[[Any], object]
) -> None:
    app.state.update(d={"x": 1, "inner": [{}]}, l=[2, 1], t=(0, []))
    before = copy.deepcopy(dict(app.state))
    with pytest.raises(RuntimeError, match=r"app\.state\['.'\] would be lost.*update"):
        change(app.state)
    assert dict(app.state) == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_nested_change_inside_an_update_is_written_back(
    app: mmsnap.App, change: Callable[[Any], object]
) -> None:
    app.state.update(d={"x": 1, "inner": [{}]}, l=[2, 1], t=(0, []))
    expected = copy.deepcopy(dict(app.state))
    change(expected)
    with app.update():
        change(app.state)
        assert dict(app.state) == expected
    with reopened(app) as again:
        assert dict(again.state) == expected


def test_a_value_kept_from_an_update_that_ended_can_not_be_changed_unseen(
    app: mmsnap.App,
) -> None:
    app.state["log"] = []
    with app.update():
        log = app.state["log"]
        log.append(1)
    with pytest.raises(RuntimeError, match="the update that read it has ended"):
        log.append(2)
    with app.update():
        replaced = app.state["log"]
        app.state["log"] = ["new"]
        with pytest.raises(RuntimeError, match="replaced"):
            replaced.append(3)
    assert app.state["log"] == ["new"]


def test_the_parts_of_one_update_see_one_value(app: mmsnap.App) -> None:
    app.state["log"] = []
    with app.update():
        app.state["log"].append(1)
        with app.update():
            app.state["log"].append(2)
        app.state.setdefault("log", []).append(3)
        app.state.setdefault("other", []).append(4)
        assert app.state["log"] == [1, 2, 3]
    assert dict(app.state) == {"log": [1, 2, 3], "other": [4]}


def test_threads_inside_updates_share_a_value_and_lose_nothing(app: mmsnap.App) -> None:
    app.state["log"] = []

    def work(number: int) -> None:
        for step in range(200):
            with app.update():
                app.state["log"].append([number, step])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reopened(app) as again:
        assert sorted(again.state["log"]) == [[n, s] for n in range(4) for s in range(200)]


def test_copies_of_values_are_plain_and_free(app: mmsnap.App) -> None:
    app.state["d"] = {"a": [1]}
    for copied in (
        copy.deepcopy(app.state["d"]),
        pickle.loads(pickle.dumps(app.state["d"])),
        json.loads(json.dumps(app.state["d"])),
    ):
        assert type(copied) is dict
        assert type(copied["a"]) is list
        copied["a"].append(2)
    plain = dict(app.state["d"])
    plain["b"] = 1
    popped = app.state.pop("d")
    popped["a"].append(3)


def test_a_refused_value_names_key_and_type_and_changes_nothing(app: mmsnap.App) -> None:
    app.state["k"] = 1
    with pytest.raises(TypeError, match=r"app\.state\['k'\]\['deep'\]\[0\].*numpy\.ndarray.*array"):
        app.state["k"] = {"deep": [np.zeros(3)]}
    with pytest.raises(TypeError, match=r"a key of app\.state is a string"):
        app.state[5] = 1  # type: ignore[index]
    with pytest.raises(ValueError, match="1 to 1024 bytes"):
        app.state["k" * 2000] = 1
    with pytest.raises(ValueError, match=r"keep large data in app\.array"):
        app.state["k"] = bytes(80 << 20)
    with pytest.raises(KeyError):
        app.state["none"]
    with pytest.raises(KeyError):
        del app.state["none"]
    assert dict(app.state) == {"k": 1}


def test_an_unfit_nested_value_is_told_at_the_end_of_the_update(app: mmsnap.App) -> None:
    app.state.update(good=[], bad=[])

    def half_done() -> None:
        with app.update():
            app.state["bad"].append({1, 2})
            app.state["good"].append(1)

    with pytest.raises(TypeError, match=r"app\.state\['bad'\]\[0\] does not take a set"):
        half_done()
    assert dict(app.state) == {"good": [1], "bad": []}
    assert app.checkpoint().consistency == "crash"


def test_objects_are_kept_by_pickle_when_allowed_and_written_back(app: mmsnap.App) -> None:
    app = reopened(app, allow_pickle=True)
    app.state["seen"] = {"ids": {1, 2}}
    with app.update():
        app.state["seen"]["ids"].add(3)
    with reopened(app, allow_pickle=True) as again:
        assert again.state["seen"] == {"ids": {1, 2, 3}}
    with mmsnap.open(app.region.pool) as strict, pytest.raises(TypeError, match="allow_pickle"):
        strict.state["seen"]


def test_restore_takes_state_back_with_the_arrays(app: mmsnap.App) -> None:
    app.state.update(n=1, cfg={"a": 1}, gone=1)
    app.checkpoint("one")
    app.state.update(n=2, cfg={"a": 2}, new=[1])
    del app.state["gone"]
    app.restore("one")
    assert dict(app.state) == {"n": 1, "cfg": {"a": 1}, "gone": 1}


def test_a_change_after_a_restore_does_not_build_on_forgotten_cells(app: mmsnap.App) -> None:
    app.state["n"] = 1
    app.checkpoint("one")
    for number in range(50):
        app.state[f"key {number}"] = "x" * 200
    app.restore("one")
    app.state["n"] += 1
    app.state["after"] = "y" * 5000
    with reopened(app) as again:
        assert dict(again.state) == {"n": 2, "after": "y" * 5000}


def test_a_value_set_outside_of_updates_is_never_torn_by_a_checkpoint(app: mmsnap.App) -> None:
    values = [bytes([number]) * 600_000 for number in range(8)]
    app.state["big"] = values[0]
    stop = threading.Event()

    def assign() -> None:
        while not stop.is_set():
            for value in values:
                app.state["big"] = value

    writer = threading.Thread(target=assign)
    writer.start()
    taken = [app.checkpoint(f"c{number}") for number in range(40)]
    stop.set()
    writer.join()
    assert {each.consistency for each in taken} == {"application"}
    for each in taken:
        app.restore(each.name)
        assert app.state["big"] in values


def test_damaged_state_is_named_when_the_region_is_opened(app: mmsnap.App, pool: Path) -> None:
    app.state["n"] = "some text that can be found"
    page = app.region.memory(0, 4096)
    at = bytes(page).index(b"some text")
    with app.update():
        page[at] ^= 1
    app.close()
    with pytest.raises(mmsnap.CorruptionError, match=r"main.*checksum"):
        mmsnap.open(pool)
