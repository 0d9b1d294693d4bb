"""A member is lost: what the others do, and what it finds when it comes back."""

import signal
import time

import pytest

from mmsnap.errors import AbortedError, InUseError, MmsnapError, NotFoundError
from mmsnap_sdk.calls import attach
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import Application
from tests.node.pool_site import PROCESSES, Site


def test_survivors_return_to_the_head_and_the_lost_one_starts_there(trio: Site) -> None:
    head = trio.client.checkpoint("g", "head")
    trio.kill_workers("b")
    for name in "ac":
        trio.await_rolled_back(name, "head")
    assert trio.states() == {"a": "attached", "b": "lost", "c": "attached"}
    with pytest.raises(AbortedError, match="member b"):
        trio.client.checkpoint("g")
    trio.start_workers("b")
    assert trio.workers["b"].ask("show")["restored"] == "head"
    newer = trio.client.checkpoint("g")
    assert newer.parent == head.epoch
    for name in "ac":
        assert trio.workers[name].ask("show")["rolled_back"] == ["head"], "gone back once"


def test_group_without_checkpoint_runs_on_and_the_lost_one_starts_empty(trio: Site) -> None:
    trio.kill_workers("a")
    trio.until(lambda: trio.states()["a"] == "lost", "the loss was noticed")
    trio.start_workers("a")
    assert trio.workers["a"].ask("show")["restored"] is None
    assert trio.workers["b"].ask("show")["rolled_back"] == []
    trio.client.checkpoint("g")


def test_waiting_member_stops_checkpoints_and_nobody_goes_back(site: Site) -> None:
    site.start_workers("a", "b", on_loss="wait")
    site.client.checkpoint("g")
    site.kill_workers("b")
    site.until(lambda: site.states()["b"] == "lost", "the loss was noticed")
    with pytest.raises(AbortedError, match="member b"):
        site.client.checkpoint("g")
    assert site.workers["a"].ask("show")["rolled_back"] == []


def test_fresh_member_is_dropped_and_the_group_goes_on(site: Site) -> None:
    site.start_workers("a")
    site.start_workers("b", on_loss="fresh")
    site.client.checkpoint("g")
    site.kill_workers("b")
    site.until(lambda: set(site.states()) == {"a"}, "b was dropped")
    taken = site.client.checkpoint("g")
    assert [part.member for part in taken.members] == ["a"]
    assert site.workers["a"].ask("show")["rolled_back"] == []
    site.start_workers("b", on_loss="fresh")
    assert site.workers["b"].ask("show")["restored"] is None


def test_member_that_joined_later_is_empty_in_an_older_checkpoint(site: Site) -> None:
    site.start_workers("a")
    site.client.checkpoint("g", "alone")
    site.start_workers("b")
    site.client.checkpoint("g", "both")
    for worker in site.workers.values():
        worker.ask("pause")
    site.client.restore("g", "alone")
    site.await_rolled_back("b", None)
    site.client.restore("g", "both")
    assert site.workers["b"].ask("show")["cells"] == [site.kept("b", 2)]


def test_member_that_left_is_not_waited_for(trio: Site) -> None:
    trio.workers["a"].ask("close")
    trio.until(lambda: trio.states()["a"] == "left", "a left")
    taken = trio.client.checkpoint("g")
    assert [part.member for part in taken.members] == ["b", "c"]


def test_lost_member_can_be_dropped_an_attached_one_not(trio: Site) -> None:
    trio.client.checkpoint("g")
    trio.kill_workers("c")
    trio.until(lambda: trio.states()["c"] == "lost", "the loss was noticed")
    with pytest.raises(InUseError) as refused:
        trio.client.detach("g", "a")
    assert refused.value.pid == trio.workers["a"].pid
    trio.until(lambda: trio.workers["a"].ask("show")["rolled_back"] != [], "a went back")
    trio.client.detach("g", "c")
    trio.client.checkpoint("g")
    with pytest.raises(NotFoundError):
        trio.client.detach("g", "c")


def test_stopped_member_holds_nobody_up(trio: Site) -> None:
    trio.client.checkpoint("g")
    trio.workers["b"].signal(signal.SIGSTOP)
    begun = time.monotonic_ns()
    with pytest.raises(MmsnapError, match="member b"):
        trio.client.checkpoint("g", timeout="300ms")
    for name in "ac":
        assert trio.workers[name].longest_stall(begun) < 1.0
    trio.workers["b"].signal(signal.SIGCONT)
    trio.client.checkpoint("g")
    assert trio.workers["a"].ask("show")["rolled_back"] == []


def test_name_of_a_live_member_is_refused_with_its_pid(trio: Site) -> None:
    with pytest.raises(InUseError) as refused:
        trio.client.ask(attach(Application("g", "a", None, "rollback")))
    assert refused.value.pid == trio.workers["a"].pid


def test_process_that_dies_while_attaching_blocks_nobody(trio: Site) -> None:
    """It got its token and never came; the group must not wait a minute for it."""
    process = PROCESSES.Process(target=_attach_and_die, args=(trio.address,))
    process.start()
    process.join()
    assert process.exitcode == 0
    trio.client.checkpoint("g")
    assert set(trio.states()) == {"a", "b", "c"}


def _attach_and_die(address: str) -> None:
    Client(address).ask(attach(Application("g", "late", None, "rollback")))
