"""A schedule outlives the service, one node runs it, and it can be taken from a dead one."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mmsnap.catalog import Catalog, ScheduleOutcome, ScheduleRecord, SqliteCatalog
from mmsnap.catalog.etcd import Etcd
from mmsnap.catalog.etcd_catalog import EtcdCatalog
from mmsnap.catalog.sqlite_schema import connect
from mmsnap.errors import NotFoundError
from mmsnap.retention import Retention
from tests.catalog.test_catalog import catalog, checkpoint, file, member, path  # noqa: F401
from tests.catalog.test_etcd import in_threads
from tests.etcd_cluster import EtcdCluster

SCHEDULE = ScheduleRecord(
    group="g",
    every_ns=10**9,
    retention=Retention(10, None),
    wait="replicated",
    timeout_ns=7,
    max_pause_ns=5,
    replicas=1,
    labels={"k": "v"},
)
FAILED = ScheduleOutcome(3, "member a is lost", "c7", 12)


def test_a_schedule_is_there_as_it_was_set(catalog: Catalog) -> None:  # noqa: F811
    assert catalog.schedules() == []
    catalog.put_schedule(SCHEDULE)
    assert catalog.schedules("g") == catalog.schedules() == [SCHEDULE]
    changed = replace(SCHEDULE, every_ns=5, retention=Retention(None, 9), suspended=True)
    catalog.put_schedule(changed)
    assert catalog.schedules("g") == [changed]
    assert catalog.schedules("other") == []


def test_only_a_group_that_is_there_has_a_schedule(catalog: Catalog) -> None:  # noqa: F811
    with pytest.raises(NotFoundError):
        catalog.put_schedule(replace(SCHEDULE, group="other"))
    assert catalog.schedules() == []


def test_setting_it_anew_keeps_how_the_last_runs_went(catalog: Catalog) -> None:  # noqa: F811
    catalog.put_schedule(SCHEDULE)
    assert catalog.schedule_outcomes() == {}
    catalog.put_schedule_outcome("g", FAILED)
    catalog.put_schedule(replace(SCHEDULE, every_ns=5))
    assert catalog.schedule_outcomes() == catalog.schedule_outcomes("g") == {"g": FAILED}


def test_a_late_run_does_not_bring_back_what_was_removed(catalog: Catalog) -> None:  # noqa: F811
    catalog.put_schedule(SCHEDULE)
    catalog.put_schedule_outcome("g", FAILED)
    catalog.drop_schedule("g")
    catalog.put_schedule_outcome("g", FAILED)
    assert (catalog.schedules(), catalog.schedule_outcomes()) == ([], {})
    with pytest.raises(NotFoundError, match="no schedule"):
        catalog.drop_schedule("g")
    catalog.put_schedule(SCHEDULE)
    assert catalog.schedule_outcomes() == {}


def test_it_is_there_after_reopening(file: SqliteCatalog, path: Path) -> None:  # noqa: F811
    file.put_schedule(SCHEDULE)
    file.put_schedule_outcome("g", FAILED)
    file.close()
    again = SqliteCatalog(path)
    assert (again.schedules(), again.schedule_outcomes()) == ([SCHEDULE], {"g": FAILED})


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_catalog_gets_what_it_lacks(path: Path, version: int) -> None:  # noqa: F811
    connect(path).close()
    with sqlite3.connect(path) as sql:
        sql.execute("DROP TABLE schedules")
        if version == 1:
            sql.execute("ALTER TABLE groups DROP COLUMN pending_epoch")
            sql.execute("ALTER TABLE members DROP COLUMN engine")
            for column in ("engine", "freeze_ns", "dump_ns", "thaw_ns"):
                sql.execute(f"ALTER TABLE figures DROP COLUMN {column}")
        sql.execute(f"PRAGMA user_version = {version}")
    made = SqliteCatalog(path)
    made.put_member(member())
    made.commit(checkpoint(made.next_epoch("g")))
    made.put_schedule(SCHEDULE)
    assert made.schedules() == [SCHEDULE]


def on_etcd(etcd: EtcdCluster, prefix: str) -> EtcdCatalog:
    made = EtcdCatalog(Etcd(etcd.endpoints, f"/{prefix}/"))
    made.put_member(member())
    made.put_schedule(SCHEDULE)
    return made


def test_of_many_nodes_that_claim_it_one_gets_it(etcd: EtcdCluster) -> None:
    seen = on_etcd(etcd, "claims")
    got: list[int] = []

    def claim(number: int) -> None:
        mine = EtcdCatalog(Etcd(etcd.endpoints[number % 3 :], "/claims/"))
        if mine.claim_schedule("g", f"n{number}", ""):
            got.append(number)

    in_threads(6, claim)
    assert [each.node for each in seen.schedules()] == [f"n{got[0]}"]
    assert len(got) == 1


def test_who_saw_another_one_run_it_gets_it_no_more(etcd: EtcdCluster) -> None:
    made = on_etcd(etcd, "taken")
    assert made.claim_schedule("g", "n1", "")
    assert made.claim_schedule("g", "n2", "n1")
    assert not made.claim_schedule("g", "n3", "n1")
    made.put_schedule(replace(SCHEDULE, every_ns=5))
    assert made.schedules()[0].node == "n2", "setting it anew does not take it away"
    assert made.claim_schedule("g", "", "n2")
    assert made.schedules()[0].node == ""
    made.drop_schedule("g")
    assert not made.claim_schedule("g", "n3", "")


def test_a_beat_is_another_number_each_time(etcd: EtcdCluster) -> None:
    made = on_etcd(etcd, "beats")
    told = []
    for _ in range(3):
        made.beat("n1")
        told.append(made.beats()["n1"])
    assert told == [1, 2, 3]
