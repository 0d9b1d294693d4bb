"""The fear: what a node did without etcd is told to it, and undoes what others did meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmsnap.catalog.etcd import Etcd
from mmsnap.catalog.etcd_mirror import EtcdMirrorSource
from mmsnap.catalog.mirror import Mirrored, from_json, to_json
from mmsnap.catalog.records import ASIDE_COUNT
from mmsnap.errors import FencedError
from tests.catalog.test_catalog import checkpoint, member
from tests.etcd_cluster import EtcdCluster


@pytest.fixture
def source(etcd: EtcdCluster, request: pytest.FixtureRequest) -> EtcdMirrorSource:
    """Two checkpoints, and numbers set aside for n1."""
    made = EtcdMirrorSource(Etcd(etcd.endpoints, f"/{request.node.name}/"))
    made.put_member(replace(member(), node="n1"))
    for _ in range(2):
        made.commit(checkpoint(made.next_epoch("g")))
    made.set_aside("g", "n1")
    return made


def restored(source: EtcdMirrorSource) -> Mirrored:
    """As n1 has it after a restore without etcd."""
    known = source.look("g")
    epoch = known.free_epoch("n1")
    assert epoch is not None
    return known.moved(1, epoch)


def test_a_restore_is_recorded_once_and_later_numbers_are_above_it(
    source: EtcdMirrorSource,
) -> None:
    moved = restored(source)
    for _ in range(2):  # the first answer may have been lost
        assert source.record_move(moved)
    assert source.group("g").head_epoch == 1
    assert source.group("g").restore_epoch == moved.moved_epoch
    epoch = source.next_epoch("g")
    assert epoch > moved.moved_epoch
    source.commit(checkpoint(epoch))


@pytest.mark.parametrize("change", ["commit", "restore", "move", "settle", "pin"])
def test_whatever_others_did_meanwhile_stands(source: EtcdMirrorSource, change: str) -> None:
    moved = restored(source)
    if change == "commit":
        source.commit(checkpoint(source.next_epoch("g")))
    elif change == "restore":
        source.set_head("g", 2, source.next_epoch("g"))
    elif change == "move":
        source.put_member(replace(member(), node="n2", incarnation=1))
    elif change == "settle":
        source.settle("g", source.next_epoch("g"))
    else:
        source.pin("g", 2, True)
    before = source.look("g")
    assert not source.record_move(moved)
    assert source.look("g") == before


def test_no_operation_and_no_other_node_gets_a_number_that_was_set_aside(
    source: EtcdMirrorSource,
) -> None:
    known = source.look("g")
    first = known.record.aside_epoch
    aside = set(range(first, first + ASIDE_COUNT))
    source.skip("g", first - 3)
    given = {source.next_epoch("g") for _ in range(10)}
    assert max(given) > max(aside)
    assert not given & aside
    source.set_aside("g", "n2")
    other = source.look("g").free_epoch("n2")
    assert other is not None
    assert other > max(aside | given)
    assert source.look("g").free_epoch("n1") is None


def test_a_number_is_used_once_and_they_come_to_an_end(source: EtcdMirrorSource) -> None:
    known, used = source.look("g"), []
    while (epoch := known.free_epoch("n1")) is not None:
        used.append(epoch)
        known = replace(known, used_epoch=epoch)
    assert len(used) == len(set(used)) == ASIDE_COUNT


def test_what_members_heard_of_is_below_all_that_comes(source: EtcdMirrorSource) -> None:
    used = restored(source).used_epoch
    source.skip("g", used)
    assert source.next_epoch("g") > used
    with pytest.raises(FencedError):
        source.set_head("g", 1, 2)


def test_a_mirror_is_the_same_when_it_is_read_again(source: EtcdMirrorSource) -> None:
    moved = restored(source)
    assert from_json(to_json({"g": moved})) == {"g": moved}
