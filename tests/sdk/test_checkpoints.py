"""Checkpoints: what they tell, which names they take, and which ones pruning lets go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsnap


@pytest.fixture
def app(pool: Path) -> Iterator[mmsnap.App]:
    with mmsnap.open(pool, size="16MiB") as app:
        yield app


def test_a_checkpoint_tells_what_it_is(app: mmsnap.App) -> None:
    app.array("a", 100_000, np.int64)[:] = 1
    first = app.checkpoint()
    taken = app.checkpoint("named", labels={"run": "7"})
    assert (taken.name, taken.labels, taken.parent) == ("named", {"run": "7"}, first.epoch)
    assert taken.epoch > first.epoch
    assert abs(datetime.now(UTC) - taken.created) < timedelta(minutes=1)
    assert first.bytes_written >= 800_000 > taken.bytes_written
    assert first.pause_ns > 0
    assert first.hook_ns >= 0
    assert (taken.consistency, taken.durability, taken.pinned) == ("application", "captured", False)
    assert (first.automatic, taken.automatic, taken.members) == (True, False, ())
    assert first.name == f"{first.created:%Y%m%d-%H%M%S}-e{first.epoch}"
    assert app.checkpoints() == [first, taken]


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-x", "x-", "x" * 64, "latest", "@1"])
def test_names_that_are_no_dns_labels_are_refused(app: mmsnap.App, name: str) -> None:
    with pytest.raises(ValueError, match="can not name a checkpoint"):
        app.checkpoint(name)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"wait": "forever"}, ValueError),
        ({"labels": {"a": 1}}, TypeError),
        ({"labels": {"a": "x" * 2000}}, ValueError),
        ({"timeout": 5}, TypeError),
        ({"max_pause": "soon"}, ValueError),
        ({"wait": "replicated"}, mmsnap.UnsupportedError),
        ({"wait": "durable"}, mmsnap.UnsupportedError),
    ],
    ids=str,
)
def test_what_can_not_be_is_refused_before_anything_is_done(
    app: mmsnap.App, arguments: dict[str, Any], error: type[Exception]
) -> None:
    hooks: list[int] = []
    app.before_checkpoint(lambda: hooks.append(1))
    with pytest.raises(error):
        app.checkpoint(**arguments)
    assert (hooks, app.checkpoints()) == ([], [])


def test_a_name_that_is_taken_is_refused(app: mmsnap.App) -> None:
    app.checkpoint("one")
    with pytest.raises(FileExistsError, match="one"):
        app.checkpoint("one")


def test_an_unknown_checkpoint_is_told_by_name(app: mmsnap.App) -> None:
    app.checkpoint()
    for call in (app.restore, app.delete_checkpoint, app.pin, app.unpin):
        for name in ("none", "@99", "@", "@x"):
            with pytest.raises(mmsnap.NotFoundError, match=name):
                call(name)
    with pytest.raises(LookupError):
        app.restore("none")


def test_nothing_to_restore_yet(app: mmsnap.App) -> None:
    with pytest.raises(mmsnap.NotFoundError):
        app.restore()


def test_a_durable_checkpoint_on_a_disk(tmp_path: Path) -> None:
    with mmsnap.open(tmp_path / "pool", size="16MiB", medium="file") as app:
        assert app.checkpoint(wait="durable").durability == "durable"
        later = app.checkpoint()
        assert later.durability == "captured"
        later.wait("durable", timeout="20s")
        later.wait("durable")
        assert app.checkpoints()[-1].durability == "durable"
        with pytest.raises(mmsnap.UnsupportedError):
            later.wait("replicated")


def test_waiting_for_more_than_memory_can_keep_is_refused(app: mmsnap.App) -> None:
    taken = app.checkpoint()
    taken.wait("captured")
    with pytest.raises(mmsnap.UnsupportedError, match="memory"):
        taken.wait("durable")


def test_the_head_is_never_deleted(app: mmsnap.App) -> None:
    app.checkpoint("one")
    app.checkpoint("two")
    app.restore("one")
    app.delete_checkpoint("two")
    with pytest.raises(ValueError, match="head"):
        app.delete_checkpoint("one")
    assert [each.name for each in app.checkpoints()] == ["one"]


def test_prune_deletes_automatic_ones_only(app: mmsnap.App) -> None:
    app.checkpoint("named")
    automatic = [app.checkpoint().name for _ in range(5)]
    app.pin(automatic[0])
    told = app.prune(keep_last=2, dry_run=True)
    assert [each.name for each in told] == automatic[1:3]
    assert len(app.checkpoints()) == 6
    assert app.prune(keep_last=2, keep_within="1h") == []
    assert [each.name for each in app.prune(keep_last=2)] == automatic[1:3]
    app.unpin(automatic[0])
    app.prune(keep_last=1)
    app.prune(keep_within="0s")
    assert [each.name for each in app.checkpoints()] == ["named", automatic[-1]]
    with pytest.raises(ValueError, match="keep_last= or keep_within="):
        app.prune()


def test_the_newest_unnamed_ones_stay_when_asked_for(pool: Path) -> None:
    with mmsnap.open(pool, size="16MiB", keep_last=2) as app:
        app.checkpoint("named")
        names = [app.checkpoint().name for _ in range(4)]
        assert [each.name for each in app.checkpoints()] == ["named", *names[-2:]]
