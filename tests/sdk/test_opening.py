"""Opening: the right region in the right mode, or an error that says what to do."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap

from .conftest import Program


def test_restored_tells_what_is_shown(pool: Path) -> None:
    with mmsnap.open(pool) as app:
        assert app.restored is None
        app.array("a", 10)[:] = 1
        app.checkpoint("one")
    with mmsnap.open(pool) as app:
        assert app.restored is not None
        assert app.restored.name == app.checkpoints()[-1].name
        assert app.array("a").sum() == 10


def test_a_region_that_never_had_a_checkpoint_is_new(pool: Path) -> None:
    app = mmsnap.open(pool)
    app.array("a", 10)[:] = 1
    app.state["n"] = 1
    app.close(checkpoint=False)
    with mmsnap.open(pool, mode="r+") as app:
        assert (app.restored, list(app.arrays), dict(app.state)) == (None, [], {})


def test_modes(pool: Path) -> None:
    with pytest.raises(mmsnap.NotFoundError):
        mmsnap.open(pool, mode="r+")
    with pytest.raises(mmsnap.NotFoundError):
        mmsnap.open(pool, mode="r")
    mmsnap.open(pool, mode="x").close(checkpoint=False)
    with pytest.raises(FileExistsError):
        mmsnap.open(pool, mode="x")
    with pytest.raises(mmsnap.NotFoundError, match="no checkpoint to read yet"):
        mmsnap.open(pool, mode="r")
    mmsnap.open(pool, mode="r+").close()
    mmsnap.open(pool, mode="r").close()


def test_reading_beside_the_writer(pool: Path) -> None:
    with mmsnap.open(pool) as writer:
        a = writer.array("a", 10, np.int64)
        for number in range(3):
            a[:] = number
            writer.state["n"] = number
            writer.checkpoint(f"c{number}")
        a[:] = 99
        with mmsnap.open(pool, mode="r") as reader:
            assert reader.restored is not None
            assert reader.restored.name == "c2"
            view = reader.array("a")
            assert (view.tolist(), reader.state["n"]) == ([2] * 10, 2)
            with mmsnap.open(pool, mode="r", at="c0") as older:
                assert (older.array("a").tolist(), older.state["n"]) == ([0] * 10, 0)
            writer.checkpoint("c3")
            assert view.tolist() == [2] * 10
            with pytest.raises(ValueError, match="read-only"):
                view[0] = 1
            refused: list[Any] = [
                lambda: reader.state.__setitem__("n", 1),
                lambda: reader.state.clear(),
                lambda: reader.arrays.__delitem__("a"),
                lambda: reader.resize("a", 20),
                lambda: reader.checkpoint(),
                lambda: reader.restore("c0"),
            ]
            for change in refused:
                with pytest.raises(mmsnap.ReadOnlyError, match="main"):
                    change()
            with pytest.raises(mmsnap.NotFoundError):
                reader.array("new", 5)
        assert [each.name for each in writer.checkpoints()] == ["c0", "c1", "c2", "c3"]


def test_at_an_unknown_checkpoint_leaves_nothing_open(pool: Path) -> None:
    mmsnap.open(pool).close()
    with pytest.raises(mmsnap.NotFoundError, match="none"):
        mmsnap.open(pool, mode="r", at="none")
    mmsnap.open(pool, mode="r+").close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "w"},
        {"medium": "tape"},
        {"at": "one"},
        {"keep_last": 0},
        {"every": "0s"},
        {"every": "often"},
        {"size": "big"},
        {"schema": -1},
        {"schema": "2"},
        {"region": "../elsewhere"},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(pool: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        mmsnap.open(pool, **arguments)
    mmsnap.open(pool).close()


def test_a_second_process_is_told_who_owns_the_region(pool: Path, program: Program) -> None:
    with mmsnap.open(pool):
        told = program(
            """
            import sys, mmsnap
            try:
                mmsnap.open(sys.argv[1])
            except mmsnap.InUseError as error:
                print(error.pid, error.hint)
            """,
            pool,
        ).stdout
    assert told.split()[0] == str(os.getpid())
    assert len(told.split()) > 1, "there is a hint"


def test_a_second_open_in_the_same_process_is_refused(pool: Path) -> None:
    with mmsnap.open(pool), pytest.raises(mmsnap.InUseError):
        mmsnap.open(pool)
    mmsnap.open(pool).close()


def test_regions_of_a_pool_are_apart(pool: Path) -> None:
    with mmsnap.open(pool, "one") as one, mmsnap.open(pool, "two") as two:
        one.state["n"], two.state["n"] = 1, 2
        assert (one.state["n"], two.state["n"]) == (1, 2)


def test_size_is_an_upper_bound_and_more_is_told(pool: Path) -> None:
    with mmsnap.open(pool, size="8MiB") as app:
        app.array("a", 1 << 20, np.uint8)
        with pytest.raises(mmsnap.PoolFullError):
            app.array("b", 16 << 20, np.uint8)
        app.array("c", 1 << 20, np.uint8)[:] = 1
        app.checkpoint()


def test_a_pool_that_is_gone_is_a_new_one(pool: Path) -> None:
    mmsnap.open(pool).close()
    shutil.rmtree(pool)
    with mmsnap.open(pool) as app:
        assert app.restored is None


def test_a_truncated_pool_file_is_named(pool: Path) -> None:
    with mmsnap.open(pool) as app:
        app.array("a", 100_000, np.int64)[:] = 1
        app.checkpoint("one")
        app.region.settle()
    (base,) = pool.rglob("base")
    with base.open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(mmsnap.CorruptionError) as told:
        mmsnap.open(pool)
    assert "base" in str(told.value)


def test_the_embedded_path_loads_no_server(pool: Path, program: Program) -> None:
    loaded = program(
        """
        import sys, mmsnap
        mmsnap.open(sys.argv[1]).close()
        print([name for name in ("grpc", "google.protobuf", "typer", "rich", "sqlite3", "asyncio")
               if name in sys.modules])
        """,
        pool,
    ).stdout
    assert loaded.strip() == "[]"


def test_an_app_that_was_forgotten_is_told_of_and_closed(pool: Path) -> None:
    mmsnap.open(pool).state["n"] = 1
    with pytest.warns(ResourceWarning, match="unclosed"):
        gc.collect()
    with mmsnap.open(pool) as again:
        assert again.restored is None


def test_schema_is_stored_migrated_once_and_checked(pool: Path) -> None:
    calls: list[int] = []

    def migrate(app: mmsnap.App, stored: int) -> None:
        calls.append(stored)
        assert app.region.guard.depth == 1
        app.resize("a", 20)
        app.state["migrated from"] = stored

    mmsnap.open(pool, schema=1, migrate=migrate).close(checkpoint=False)
    with mmsnap.open(pool, schema=1, migrate=migrate) as app:
        app.array("a", 10)
    with pytest.raises(mmsnap.SchemaMismatchError, match=r"schema 1, not 2.*migrate="):
        mmsnap.open(pool, schema=2)
    with pytest.raises(mmsnap.SchemaMismatchError, match=r'mode="r\+"'):
        mmsnap.open(pool, schema=2, migrate=migrate, mode="r")
    with mmsnap.open(pool, mode="r", schema=1) as reader:
        before = len(reader.checkpoints())
    app = mmsnap.open(pool, schema=2, migrate=migrate)
    assert len(app.checkpoints()) == before + 1, "a migration is kept at once"
    app.close(checkpoint=False)
    with mmsnap.open(pool, schema=2, migrate=migrate, mode="r") as reader:
        assert reader.array("a").shape == (20,)
    for schema in (0, 1):
        with pytest.raises(mmsnap.SchemaMismatchError, match="newer"):
            mmsnap.open(pool, schema=schema, migrate=migrate)
    assert calls == [1]


def test_a_migration_that_fails_leaves_everything_as_it_was(pool: Path) -> None:
    with mmsnap.open(pool) as app:
        app.state["n"] = 1

    def fail(app: mmsnap.App, stored: int) -> None:
        app.state["n"] = "half done"
        raise LookupError("of the migration")

    with pytest.raises(LookupError, match="of the migration"):
        mmsnap.open(pool, schema=1, migrate=fail)
    with mmsnap.open(pool) as app:
        assert app.state["n"] == 1


def test_a_process_started_by_spawn_may_open_another_region(pool: Path) -> None:
    with mmsnap.open(pool, "parent"):
        context = multiprocessing.get_context("spawn")
        child = context.Process(target=_write_in_region, args=(str(pool),))
        child.start()
        child.join(30)
        assert child.exitcode == 0
    assert sys.platform == "linux"


def _write_in_region(pool: str) -> None:
    with mmsnap.open(pool, "child") as app:
        app.state["n"] = 1
