"""Many nodes write one catalog: while members of etcd die, and when no majority is left."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest

from mmsnap.catalog import NoMajorityError
from mmsnap.catalog.etcd import Etcd
from mmsnap.catalog.etcd_catalog import EtcdCatalog
from mmsnap.errors import AbortedError, FencedError
from mmsnap.node.live_group import TURN_BUDGET_SECONDS
from tests.catalog.test_catalog import checkpoint, member
from tests.etcd_cluster import EtcdCluster, etcd_cluster


@pytest.fixture
def cluster() -> Iterator[EtcdCluster]:
    """One that may be harmed."""
    with etcd_cluster(3) as made:
        yield made


def open_catalog(cluster: EtcdCluster, first: int = 0) -> EtcdCatalog:
    endpoints = cluster.endpoints[first:] + cluster.endpoints[:first]
    return EtcdCatalog(Etcd(endpoints))


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures, failures


def test_no_number_is_given_twice_and_the_head_is_the_newest(etcd: EtcdCluster) -> None:
    EtcdCatalog(Etcd(etcd.endpoints, "/numbers/")).put_member(member())
    given: list[int] = []

    def work(number: int) -> None:
        catalog = EtcdCatalog(Etcd(etcd.endpoints[number % 3 :], "/numbers/"))
        for _ in range(10):
            given.append(epoch := catalog.next_epoch("g"))
            try:
                catalog.commit(checkpoint(epoch))
            except FencedError:
                continue  # a later one was quicker

    in_threads(4, work)
    assert len(set(given)) == 40
    catalog = EtcdCatalog(Etcd(etcd.endpoints, "/numbers/"))
    assert catalog.group("g").head_epoch == catalog.committed_epochs("g")[-1]


def test_members_of_etcd_that_die_one_after_the_other_lose_nothing(cluster: EtcdCluster) -> None:
    open_catalog(cluster).put_member(member())
    committed: list[int] = []
    ending = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for victim in (0, 1, 2):
                time.sleep(0.5)
                cluster.kill(victim)
                time.sleep(0.5)
                cluster.start(victim)
                cluster.await_health(victim)
            ending.set()
            return
        catalog = open_catalog(cluster, number)
        while not ending.is_set():
            try:
                epoch = catalog.next_epoch("g")
                catalog.commit(checkpoint(epoch))
                committed.append(epoch)
            except (AbortedError, FencedError):
                continue

    in_threads(3, work)
    assert len(committed) > 10
    assert len(set(committed)) == len(committed)
    assert set(committed) <= set(open_catalog(cluster).committed_epochs("g"))


def test_without_a_majority_it_says_so_and_goes_on_when_there_is_one(cluster: EtcdCluster) -> None:
    catalog = open_catalog(cluster)
    catalog.put_member(member())
    cluster.kill(1)
    cluster.kill(2)
    with pytest.raises(AbortedError, match="etcd does not answer") as told:
        catalog.next_epoch("g")
    assert "majority" in told.value.hint
    cluster.start(1)
    cluster.await_health(1)
    assert catalog.next_epoch("g") >= 1


@pytest.mark.parametrize("count", [1, 3, 5])
def test_endpoints_that_hear_and_never_answer_keep_nobody_as_long_as_a_turn_is_waited_for(
    count: int,
) -> None:
    with ExitStack() as opened:
        mute = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        etcd = Etcd([f"http://127.0.0.1:{each.getsockname()[1]}" for each in mute])
        opened.callback(etcd.close)
        begun = time.monotonic()
        with pytest.raises(NoMajorityError):
            etcd.get("groups/g")
        took_seconds = time.monotonic() - begun
    assert TURN_BUDGET_SECONDS * 0.7 < took_seconds < TURN_BUDGET_SECONDS * 0.95


def test_an_endpoint_that_dies_in_the_middle_of_its_answer_is_passed_over(
    etcd: EtcdCluster,
) -> None:
    dying = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{dying.getsockname()[1]}"
    asked: list[bytes] = []

    def die() -> None:
        connection, _ = dying.accept()
        asked.append(connection.recv(1 << 16))
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n{")
        connection.close()
        dying.close()

    with closing(Etcd([address, *etcd.endpoints], "/dying/")) as store:
        thread = threading.Thread(target=die)
        thread.start()
        assert store.change({"groups/g": 0}, {"groups/g": {"epoch": 1}})
        thread.join(10)
        assert store.get("groups/g").record == {"epoch": 1}
    assert asked


def test_a_commit_that_was_overtaken_by_settling_never_happens(etcd: EtcdCluster) -> None:
    slow, other = (EtcdCatalog(Etcd(etcd.endpoints, "/settled/")) for _ in range(2))
    slow.put_member(member())
    epoch = slow.next_epoch("g")
    change = slow._etcd.change

    def delayed(*words: Any, **more: Any) -> bool:
        assert not other.settle("g", epoch), "somebody gave it up in between"
        return change(*words, **more)

    slow._etcd.change = delayed  # type: ignore[method-assign]
    with pytest.raises(FencedError):
        slow.commit(checkpoint(epoch))
    assert not other.is_committed("g", epoch)


@pytest.mark.parametrize("needed_as", ["head", "pending", "pinned"])
def test_what_another_node_needs_since_a_moment_is_not_deleted(
    etcd: EtcdCluster, needed_as: str
) -> None:
    slow, other = (EtcdCatalog(Etcd(etcd.endpoints, f"/{needed_as}/")) for _ in range(2))
    slow.put_member(member())
    for _ in range(2):
        slow.commit(checkpoint(slow.next_epoch("g")))
    change = slow._etcd.change

    def delayed(*words: Any, **more: Any) -> bool:
        slow._etcd.change = change  # type: ignore[method-assign]
        if needed_as == "head":
            other.set_head("g", 1, other.next_epoch("g"))
        elif needed_as == "pending":
            other.set_pending("g", 1)
        else:
            other.pin("g", 1, True)
        return change(*words, **more)

    slow._etcd.change = delayed  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="@1"):
        slow.delete("g", 1)
    assert other.committed_epochs("g") == [1, 2]


def test_deleting_what_another_node_deleted_does_not_take_the_name_from_its_next_owner(
    etcd: EtcdCluster,
) -> None:
    slow, other = (EtcdCatalog(Etcd(etcd.endpoints, "/renamed/")) for _ in range(2))
    slow.put_member(member())
    slow.commit(checkpoint(slow.next_epoch("g"), "x"))
    slow.commit(checkpoint(slow.next_epoch("g")))
    change = slow._etcd.change

    def delayed(*words: Any, **more: Any) -> bool:
        slow._etcd.change = change  # type: ignore[method-assign]
        other.delete("g", 1)
        other.commit(checkpoint(other.next_epoch("g"), "x"))
        return change(*words, **more)

    slow._etcd.change = delayed  # type: ignore[method-assign]
    slow.delete("g", 1)
    assert other.find("g", "x").epoch == 3


@pytest.mark.parametrize("lost_after", ["commit", "set_head", "adopt", "delete"])
def test_a_change_whose_answer_was_lost_is_no_error(etcd: EtcdCluster, lost_after: str) -> None:
    catalog = EtcdCatalog(Etcd(etcd.endpoints, f"/lost-{lost_after}/"))
    catalog.put_member(member())
    for _ in range(2):
        catalog.commit(checkpoint(catalog.next_epoch("g")))
    epoch = catalog.next_epoch("g")
    change = catalog._etcd.change
    answers = [False]  # as when the call was made again at another endpoint

    def made_but_not_answered(*words: Any, **more: Any) -> bool:
        made = change(*words, **more)
        return answers.pop() if answers else made

    catalog._etcd.change = made_but_not_answered  # type: ignore[method-assign]
    if lost_after == "commit":
        catalog.commit(checkpoint(epoch))
        assert catalog.group("g").head_epoch == epoch
    elif lost_after == "set_head":
        catalog.set_head("g", 1, epoch)
        assert catalog.group("g").head_epoch == 1
    elif lost_after == "adopt":
        catalog.adopt(replace(checkpoint(1), group="h"), pending=False)
        assert catalog.find("h").epoch == 1
    else:
        catalog.delete("g", 1)
        assert catalog.committed_epochs("g") == [2]
