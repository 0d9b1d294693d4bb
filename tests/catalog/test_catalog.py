"""The catalog keeps its promises: one transaction, or nothing of it."""

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mmsnap.catalog import (
    Catalog,
    GroupCheckpoint,
    MemberFigures,
    MemberRecord,
    MemberState,
    OnLoss,
    SqliteCatalog,
)
from mmsnap.catalog.etcd import Etcd
from mmsnap.catalog.etcd_catalog import EtcdCatalog
from mmsnap.errors import (
    CorruptionError,
    FencedError,
    FormatVersionError,
    NotFoundError,
)

PART = MemberFigures("a", 10, 1, 0, 2, 4096, crash_only=False)


def member(name: str = "a", group: str = "g") -> MemberRecord:
    return MemberRecord(group, name, OnLoss.ROLLBACK, MemberState.ATTACHED, 1 << 20)


def checkpoint(
    epoch: int, name: str = "", parts: tuple[MemberFigures, ...] = (PART,)
) -> GroupCheckpoint:
    return GroupCheckpoint(
        group="g",
        epoch=epoch,
        name=name or f"c{epoch}",
        parent_epoch=None,
        created_ns=1,
        held_ns=5,
        automatic=False,
        labels={"k": "v"},
        members=parts,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture(params=["file", "etcd"])
def catalog(path: Path, request: pytest.FixtureRequest) -> Iterator[Catalog]:
    """Both kinds promise the same."""
    made: Catalog
    if request.param == "file":
        made = SqliteCatalog(path)
    else:
        cluster = request.getfixturevalue("etcd")
        made = EtcdCatalog(Etcd(cluster.endpoints, prefix=f"/{request.node.name}/"))
    made.put_member(member())
    yield made
    made.close()


@pytest.fixture
def file(path: Path) -> SqliteCatalog:
    made = SqliteCatalog(path)
    made.put_member(member())
    return made


def test_what_is_committed_is_there_after_reopening(file: SqliteCatalog, path: Path) -> None:
    epoch = file.next_epoch("g")
    parts = (PART, replace(PART, member="b", pause_ns=99, crash_only=True))
    file.commit(checkpoint(epoch, parts=parts))
    file.close()
    found = SqliteCatalog(path).find("g")
    assert found == checkpoint(epoch, parts=parts)
    assert (found.pause_ns, found.bytes_written, found.consistency) == (99, 8192, "crash")


def test_epochs_never_repeat_not_even_after_reopening(file: SqliteCatalog, path: Path) -> None:
    epochs = [file.next_epoch("g") for _ in range(3)]
    file.close()
    again = SqliteCatalog(path)
    assert [*epochs, again.next_epoch("g")] == [1, 2, 3, 4]


def test_checkpoint_is_found_by_name_epoch_and_as_latest(catalog: Catalog) -> None:
    for _ in range(3):
        catalog.commit(checkpoint(catalog.next_epoch("g")))
    assert [catalog.find("g", n).epoch for n in ("c2", "@1", "latest")] == [2, 1, 3]
    for unknown in ("c9", "@9", "@", "@-1", "@" + "9" * 30):
        with pytest.raises(NotFoundError):
            catalog.find("g", unknown)


def test_late_epoch_can_neither_commit_nor_move_the_head(catalog: Catalog) -> None:
    late, then, restore, never_given = *(catalog.next_epoch("g") for _ in range(3)), 99
    catalog.commit(checkpoint(then))
    for epoch in (late, then, never_given):
        with pytest.raises(FencedError):
            catalog.commit(checkpoint(epoch, "x"))
    catalog.set_head("g", then, restore)
    with pytest.raises(FencedError):
        catalog.set_head("g", then, restore)
    assert catalog.group("g").restore_epoch == restore


def test_name_is_taken_once_and_the_refusal_leaves_nothing(catalog: Catalog) -> None:
    catalog.commit(checkpoint(catalog.next_epoch("g"), "done"))
    with pytest.raises(FileExistsError):
        catalog.commit(checkpoint(catalog.next_epoch("g"), "done"))
    assert catalog.committed_epochs("g") == [1]
    assert catalog.group("g").head_epoch == 1


def test_head_is_not_deleted_others_are(catalog: Catalog) -> None:
    for _ in range(2):
        catalog.commit(checkpoint(catalog.next_epoch("g")))
    with pytest.raises(ValueError, match="head"):
        catalog.delete("g", 2)
    catalog.delete("g", 1)
    with pytest.raises(NotFoundError):
        catalog.delete("g", 1)
    assert catalog.committed_epochs("g") == [2]


def test_what_a_restore_waits_for_is_not_deleted_until_it_does_not(catalog: Catalog) -> None:
    for _ in range(3):
        catalog.commit(checkpoint(catalog.next_epoch("g")))
    catalog.set_pending("g", 1)
    with pytest.raises(ValueError, match="waits for programs"):
        catalog.delete("g", 1)
    catalog.set_pending("g", 2)
    catalog.delete("g", 1)
    with pytest.raises(NotFoundError):
        catalog.set_pending("g", 1)
    assert (catalog.committed_epochs("g"), catalog.group("g").pending_epoch) == ([2, 3], 2)


def test_what_is_pinned_is_not_deleted_until_it_is_unpinned(catalog: Catalog) -> None:
    for _ in range(2):
        catalog.commit(checkpoint(catalog.next_epoch("g")))
    catalog.pin("g", 1, True)
    with pytest.raises(ValueError, match="unpin it"):
        catalog.delete("g", 1)
    catalog.pin("g", 1, False)
    catalog.delete("g", 1)
    assert catalog.committed_epochs("g") == [2]


def test_head_does_not_move_to_what_is_not_there(catalog: Catalog) -> None:
    catalog.commit(checkpoint(catalog.next_epoch("g")))
    with pytest.raises(NotFoundError):
        catalog.set_head("g", 7, catalog.next_epoch("g"))
    assert catalog.group("g").head_epoch == 1


def test_members_come_change_and_go(catalog: Catalog) -> None:
    catalog.put_member(replace(member("b"), on_loss=OnLoss.WAIT))
    lost = replace(member("b"), on_loss=OnLoss.WAIT, state=MemberState.LOST, lost_epoch=7)
    catalog.put_member(lost)
    catalog.drop_member("g", "a")
    assert catalog.members() == [lost]


def test_pin_is_kept(catalog: Catalog) -> None:
    catalog.commit(checkpoint(catalog.next_epoch("g")))
    catalog.pin("g", 1, True)
    assert catalog.find("g").pinned


def test_newer_catalog_is_refused(path: Path) -> None:
    SqliteCatalog(path).close()
    with sqlite3.connect(path) as sql:
        sql.execute("PRAGMA user_version = 99")
    with pytest.raises(FormatVersionError):
        SqliteCatalog(path)


def test_file_that_is_no_catalog_is_named(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(CorruptionError, match=r"catalog\.db"):
        SqliteCatalog(path)


def _commit_for_ever(path: Path, ready: "multiprocessing.connection.Connection") -> None:
    catalog = SqliteCatalog(path)
    while True:
        epoch = catalog.next_epoch("g")
        catalog.commit(checkpoint(epoch))
        ready.send(epoch)


def test_kill_in_the_middle_leaves_whole_checkpoints_and_every_reported_one(
    file: SqliteCatalog, path: Path
) -> None:
    file.close()
    chance = random.Random(7)
    context = multiprocessing.get_context("spawn")
    for _ in range(4):
        receiver, sender = context.Pipe(duplex=False)
        writer = context.Process(target=_commit_for_ever, args=(path, sender))
        writer.start()
        sender.close()
        reported = [receiver.recv()]
        time.sleep(chance.uniform(0, 0.05))
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        while receiver.poll():
            try:
                reported.append(receiver.recv())
            except EOFError:
                break
        again = SqliteCatalog(path)
        committed = again.checkpoints("g")
        assert {c.epoch for c in committed} >= set(reported)
        assert all(c.members == (PART,) for c in committed)
        assert again.group("g").head_epoch == committed[-1].epoch
        assert again.next_epoch("g") > committed[-1].epoch
        again.close()


def test_what_is_settled_as_absent_can_never_be_committed(catalog: Catalog) -> None:
    committed, absent = catalog.next_epoch("g"), catalog.next_epoch("g")
    catalog.commit(checkpoint(committed))
    assert catalog.settle("g", committed)
    assert not catalog.settle("g", absent)


def test_an_adopted_group_begins_with_its_checkpoint(catalog: Catalog) -> None:
    made = replace(checkpoint(1), group="h")
    catalog.adopt(made, pending=True)
    assert catalog.find("h") == made
    assert (catalog.group("h").pending_epoch, catalog.next_epoch("h")) == (1, 2)
    with pytest.raises(FileExistsError):
        catalog.adopt(made, pending=False)
    with pytest.raises(FileExistsError):
        catalog.adopt(replace(checkpoint(1), group="g"), pending=False)


def test_groups_do_not_see_each_other(catalog: Catalog) -> None:
    catalog.put_member(member("a", "g2"))
    catalog.commit(checkpoint(catalog.next_epoch("g")))
    assert catalog.checkpoints("g2") == []
    assert [m.group for m in catalog.members("g2")] == ["g2"]
    assert [g.name for g in catalog.groups()] == ["g", "g2"]
    assert [c.group for c in catalog.checkpoints()] == ["g"]
