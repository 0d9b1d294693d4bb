"""Arrays: views must be the region's bytes, zeros at first, and never fault or alias."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap
from mmsnap_sdk.layout import CellKind
from mmsnap_sdk.store import Store

PAGE = 4096


@pytest.fixture
def app(pool: Path) -> Iterator[mmsnap.App]:
    with mmsnap.open(pool, size="64MiB") as app:
        yield app


def reopened(app: mmsnap.App, **options: Any) -> mmsnap.App:
    app.close()
    return mmsnap.open(app.region.pool, **options)


def address_of(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_new_array_is_zeros_and_the_view_is_the_region(app: mmsnap.App) -> None:
    hits = app.array("hits", (3, 4), np.int32)
    assert hits.shape == (3, 4)
    assert hits.dtype == np.int32
    assert hits.flags.c_contiguous
    assert hits.flags.writeable
    assert not hits.any()
    assert app.array("hits") is hits
    assert app.region.address <= address_of(hits) < app.region.address + app.region.extent_bytes
    assert address_of(hits) % PAGE == 0


def test_arrays_come_back_after_reopening(app: mmsnap.App) -> None:
    app.array("a", 5, "f8")[:] = 1.5
    app.array("b", (2, 2), bool)[0, 1] = True
    with reopened(app) as again:
        assert sorted(again.arrays) == ["a", "b"]
        assert again.array("a").tolist() == [1.5] * 5
        assert again.arrays["b"].tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    "dtype",
    [
        "S7",
        "U3",
        ">u2",
        "M8[ns]",
        "c16",
        np.longdouble,
        [("x", "<i4"), ("y", ">f8", (2, 3))],
        [("deep", [("a", "u1"), ("b", "S2")]), ("t", "m8[s]")],
        np.dtype([("a", "u1"), ("b", "u8")], align=True),
        np.dtype({"names": ["a"], "formats": ["i4"], "offsets": [8], "itemsize": 16}),
        [(("title", "name"), "i4")],
    ],
    ids=str,
)
def test_types_come_back_equal(app: mmsnap.App, dtype: Any) -> None:
    made = app.array("a", 3, dtype)
    made.view(np.uint8)[:] = np.arange(made.nbytes) % 100
    before = made.tobytes()
    with reopened(app) as again:
        assert again.array("a", 3, dtype).dtype == np.dtype(dtype)
        assert again.array("a").tobytes() == before


@pytest.mark.parametrize("dtype", [object, [("a", object)], "S0", "V0", np.dtypes.StringDType()])
def test_types_that_are_not_plain_bytes_are_refused(app: mmsnap.App, dtype: Any) -> None:
    with pytest.raises(TypeError):
        app.array("a", 3, dtype)
    assert list(app.arrays) == []


@pytest.mark.parametrize(
    ("shape", "dtype", "told"),
    [((5,), np.int64, r"\(4,\) int64.*\(5,\)"), (None, "i4", "int32"), ((4, 1), None, r"\(4, 1\)")],
)
def test_another_shape_or_type_is_an_error_that_says_what_is_stored(
    app: mmsnap.App, shape: Any, dtype: Any, told: str
) -> None:
    app.array("a", 4, np.int64)[:] = 7
    with pytest.raises(mmsnap.SchemaMismatchError, match=told):
        app.array("a", shape, dtype)
    assert app.array("a", (4,), "<i8").tolist() == [7] * 4


def test_bad_names_and_shapes_are_refused_and_take_no_room(app: mmsnap.App) -> None:
    app.array("first", 1)
    extent = app.region.extent_bytes
    with pytest.raises(mmsnap.NotFoundError, match="no array 'none'"):
        app.array("none")
    with pytest.raises(mmsnap.NotFoundError):
        app.resize("none", 5)
    with pytest.raises(KeyError):
        app.arrays["none"]
    with pytest.raises(KeyError):
        del app.arrays["none"]
    with pytest.raises(ValueError, match="negative"):
        app.array("a", (2, -1))
    with pytest.raises(TypeError):
        app.array("a", 2.5)  # type: ignore[arg-type]
    for name in ("", "x" * 2000):
        with pytest.raises(ValueError, match="1 to 1024 bytes"):
            app.array(name, 1)
    with pytest.raises(mmsnap.PoolFullError):
        app.array("a", 1 << 40)
    assert app.region.extent_bytes == extent
    assert list(app.arrays) == ["first"]
    app.array("a", (0, 3))
    app.array("scalar", ())[...] = 5
    assert app.array("scalar") == 5


def test_a_deleted_array_is_gone_and_its_room_is_zeros_for_the_next(app: mmsnap.App) -> None:
    old = app.array("old", 3 * PAGE, np.uint8)
    old[:] = 0xEE
    at = address_of(old)
    del app.arrays["old"]
    assert "old" not in app.arrays
    assert not np.shares_memory(app.array("next", 3 * PAGE, np.uint8), old)
    assert old[0] == 0xEE
    extent = app.region.extent_bytes
    with reopened(app) as again:
        reused = again.array("reused", 3 * PAGE, np.uint8)
        assert address_of(reused) - again.region.address == at - app.region.address
        assert not reused.any()
        assert again.region.extent_bytes == extent


def test_resize_grows_the_first_axis_with_zeros(app: mmsnap.App) -> None:
    first = app.array("a", (2, 3), np.int64)
    first[:] = 1
    grown = app.resize("a", (5000, 3))
    assert grown.shape == (5000, 3)
    assert grown[:2].tolist() == [[1, 1, 1]] * 2
    assert not grown[2:].any()
    assert np.shares_memory(first, grown), "nothing was behind it, so it could stay in place"
    assert app.array("a") is grown
    with reopened(app) as again:
        assert again.array("a", (5000, 3), np.int64)[:3].tolist() == [[1, 1, 1]] * 2 + [[0, 0, 0]]


def test_resize_moves_an_array_that_is_hemmed_in(app: mmsnap.App) -> None:
    first = app.array("a", PAGE, np.uint8)
    first[:] = 1
    wall = app.array("wall", PAGE, np.uint8)
    grown = app.resize("a", 3 * PAGE)
    assert not np.shares_memory(first, grown)
    assert grown.tolist() == [1] * PAGE + [0] * 2 * PAGE
    wall[:] = 2
    first[:] = 9
    assert grown[:PAGE].tolist() == [1] * PAGE
    other = app.array("other", PAGE, np.uint8)
    assert not np.shares_memory(other, first), "the old address is not used again"


def test_growing_two_arrays_in_turns_takes_room_in_proportion(app: mmsnap.App) -> None:
    app.array("a", 1, np.uint8)
    app.array("b", 1, np.uint8)
    for pages in range(1, 100):
        app.resize("a", pages * PAGE)
        app.resize("b", pages * PAGE)
    assert app.region.extent_bytes < 8 * (2 * 100 * PAGE)


@pytest.mark.parametrize("shape", [(5, 3), (6,), (6, 4), (1, 6, 3), ()])
def test_resize_refuses_what_is_not_growing(app: mmsnap.App, shape: tuple[int, ...]) -> None:
    app.array("a", (6, 3))
    with pytest.raises(ValueError, match="only its first axis can grow"):
        app.resize("a", shape)


def test_restore_shows_the_bytes_at_the_same_address(app: mmsnap.App) -> None:
    a = app.array("a", 1000, np.int64)
    part = a[10:20]
    a[:] = 1
    app.checkpoint("one")
    a[:] = 2
    app.restore("one")
    assert a.sum() == 1000
    assert part.tolist() == [1] * 10
    assert app.array("a") is a


def test_restore_refuses_to_drop_an_array_in_use_before_it_does_anything(
    app: mmsnap.App,
) -> None:
    kept = app.array("kept", 10, np.int64)
    kept[:] = 1
    app.checkpoint("before")
    part = app.array("new", 100)[5:7]
    kept[:] = 2
    with pytest.raises(BufferError, match="drop array 'new', which is still in use"):
        app.restore("before")
    assert kept.sum() == 20
    assert sorted(app.arrays) == ["kept", "new"]
    del part
    app.restore("before")
    assert kept.sum() == 10
    assert list(app.arrays) == ["kept"]


def test_restore_refuses_to_reshape_an_array_in_use(app: mmsnap.App) -> None:
    app.array("a", 10, np.int64)
    app.checkpoint("small")
    grown = app.resize("a", 20)
    app.checkpoint("large")
    with pytest.raises(BufferError, match="shape or type of array 'a'"):
        app.restore("small")
    app.restore("large")
    grown[:] = 1
    del grown
    app.restore("small")
    assert app.array("a").shape == (10,)
    app.restore("large")
    assert app.array("a").shape == (20,)
    app.restore("@1")


def test_restore_to_a_checkpoint_of_an_earlier_session_looks_what_it_holds(
    app: mmsnap.App,
) -> None:
    app.array("a", 10, np.int64)
    app.checkpoint("with-a")
    del app.arrays["a"]
    app.array("b", 10, np.int64)
    with reopened(app) as again:
        b = again.array("b")
        with pytest.raises(BufferError, match="'b'"):
            again.restore("with-a")
        again.restore()
        del b
        again.restore("with-a")
        assert list(again.arrays) == ["a"]
        c = again.array("c", 10, np.int64)
        with pytest.raises(BufferError, match="'c'"):
            again.restore()
        assert c.sum() == 0


def test_a_restore_that_others_order_is_noticed_and_tells_whose_views_it_cut_off(
    app: mmsnap.App, caplog: pytest.LogCaptureFixture
) -> None:
    kept = app.array("kept", 10, np.int64)
    app.state["n"] = 1
    app.checkpoint("before")
    kept[:] = 1
    lost = app.array("lost", PAGE, np.uint8)
    app.state["n"] = "much longer than before, so that it had to move"
    app.region.restore(1)  # as a node service orders it, without asking
    app.state["m"] = 2
    assert dict(app.state) == {"n": 1, "m": 2}
    assert list(app.arrays) == ["kept"]
    app._backend.restore(app.checkpoints()[0])
    assert "array 'lost' is still in use" in caplog.text
    assert not np.shares_memory(app.array("other", PAGE, np.uint8), lost)
    assert kept.sum() == 0


def test_an_address_that_a_restore_took_an_array_from_is_not_used_again(
    app: mmsnap.App,
) -> None:
    app.checkpoint("empty")
    at = address_of(app.array("gone", PAGE, np.uint8))
    app.restore("empty")
    assert address_of(app.array("next", PAGE, np.uint8)) != at


def test_views_outlive_close_and_are_not_kept(pool: Path) -> None:
    app = mmsnap.open(pool, size="16MiB")
    a = app.array("a", 1000, np.int64)
    a[:] = 1
    part = memoryview(a)[3:5]
    with pytest.warns(ResourceWarning, match="views of 'a' are still in use after close"):
        app.close()
    del app
    gc.collect()
    a[:] = 2
    assert part.tolist() == [2, 2]
    with mmsnap.open(pool) as again:
        assert again.array("a").sum() == 1000


def test_close_without_views_does_not_warn(pool: Path, recwarn: pytest.WarningsRecorder) -> None:
    with mmsnap.open(pool) as app:
        app.array("a", 10)[:] = 1
    assert not recwarn.list


def test_threads_that_create_the_same_array_get_the_same(app: mmsnap.App) -> None:
    made: list[np.ndarray[Any, Any]] = []
    ready = threading.Barrier(4)

    def create() -> None:
        ready.wait()
        made.extend(app.array(f"a{number}", 10, np.int64) for number in range(50))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({address_of(array) for array in made}) == 50
    assert len(app.arrays) == 50


@pytest.mark.parametrize(
    ("field", "value"), [("offset", 1 << 50), ("block", 0), ("shape", [1 << 40]), ("dtype", "O")]
)
def test_a_forged_directory_entry_is_refused(
    app: mmsnap.App, pool: Path, field: str, value: Any
) -> None:
    entry = {"dtype": "<i8", "shape": [10], "offset": 8192, "block": 4096, field: value}
    store = Store(app.region)
    store.open()
    with store.step:
        store.write(CellKind.ARRAY, "forged", json.dumps(list(entry.values())).encode())
    app.checkpoint()
    app.close(checkpoint=False)
    with pytest.raises(mmsnap.CorruptionError):
        mmsnap.open(pool)
