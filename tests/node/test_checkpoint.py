"""A checkpoint of live processes: one instant, and named, and found again."""

import time

import pytest

from mmsnap.errors import (
    NotFoundError,
    PauseExceededError,
    QuiesceTimeoutError,
    UnsupportedError,
)
from tests.node.pool_site import Site


def test_every_checkpoint_of_busy_members_is_one_instant(trio: Site) -> None:
    epochs = []
    for _ in range(15):
        epochs.append(trio.client.checkpoint("g").epoch)
        time.sleep(0.01)
    assert [c.epoch for c in trio.client.checkpoints("g")] == epochs
    trio.kill_workers()
    for epoch in epochs:
        trio.assert_one_instant(epoch, trio.workers)


def test_all_killed_members_come_back_at_the_last_checkpoint(trio: Site) -> None:
    trio.client.checkpoint("g")
    last = trio.client.checkpoint("g", "last", labels={"why": "test"})
    assert last.labels == {"why": "test"}
    trio.kill_workers()
    kept = {name: trio.kept(name, last.epoch) for name in "abc"}
    trio.start_workers("a", "b", "c")
    for name in "abc":
        shown = trio.workers[name].ask("show")
        assert shown["restored"] == "last"
        assert trio.kept(name, last.epoch) == kept[name]
    trio.until(lambda: set(trio.states().values()) == {"attached"}, "all attached")
    trio.client.checkpoint("g")


def test_running_members_go_back_together(trio: Site) -> None:
    target = trio.client.checkpoint("g", "target")
    time.sleep(0.05)
    trio.client.checkpoint("g", "newer")
    for worker in trio.workers.values():
        worker.ask("pause")
    time.sleep(0.01)
    assert trio.client.restore("g", "target").epoch == target.epoch
    for name, worker in trio.workers.items():
        assert worker.ask("show")["cells"] == [trio.kept(name, target.epoch)]
        trio.await_rolled_back(name, "target")
    assert trio.client.find("g").name == "target"
    assert [c.name for c in trio.client.checkpoints("g")] == ["target", "newer"]


def test_member_asks_for_checkpoint_and_restore_of_the_group(trio: Site) -> None:
    epoch = trio.workers["a"].ask("checkpoint mine")
    assert trio.client.find("g", "mine").epoch == epoch
    assert trio.workers["b"].ask("restore mine") == "mine"
    assert trio.workers["b"].ask("show")["rolled_back"] == ["mine"], "told before it returned"
    for name in "ac":
        trio.await_rolled_back(name, "mine")


def test_member_in_a_long_update_is_named_and_nobody_waits_long(trio: Site) -> None:
    trio.workers["b"].ask("nap 3")
    time.sleep(0.1)
    begun = time.monotonic_ns()
    with pytest.raises(QuiesceTimeoutError, match="member b"):
        trio.client.checkpoint("g")
    assert trio.workers["a"].longest_stall(begun) < 2.0
    trio.until(lambda: _checkpointed(trio), "the next one succeeds", within=20)


def _checkpointed(site: Site) -> bool:
    try:
        site.client.checkpoint("g")
    except QuiesceTimeoutError:
        return False
    return True


def test_pause_over_its_budget_is_given_up_and_names_the_slow_one(trio: Site) -> None:
    trio.workers["c"].ask("nap 1")
    time.sleep(0.1)
    begun = time.monotonic_ns()
    with pytest.raises((PauseExceededError, QuiesceTimeoutError), match="member c"):
        trio.client.checkpoint("g", max_pause="50ms")
    assert trio.workers["a"].longest_stall(begun) < 0.3


def test_hook_that_fails_aborts_and_says_why(site: Site) -> None:
    site.start_workers("a", "b", hooks=True)
    site.client.checkpoint("g")
    site.workers["a"].ask("break-hook")
    with pytest.raises(QuiesceTimeoutError, match="database is away"):
        site.client.checkpoint("g")
    assert len(site.client.checkpoints("g")) == 1


def test_names_are_checked_and_taken_once(trio: Site) -> None:
    trio.client.checkpoint("g", "one")
    with pytest.raises(FileExistsError, match="one"):
        trio.client.checkpoint("g", "one")
    for name in ("latest", "Big", "-a", "a" * 64, "@7", "ä"):
        with pytest.raises(ValueError, match="checkpoint"):
            trio.client.checkpoint("g", name)
    with pytest.raises(ValueError, match="labels"):
        trio.client.checkpoint("g", labels={"k": "v" * 2000})
    assert len(trio.client.checkpoints("g")) == 1


def test_unknown_checkpoint_or_group_is_not_found(trio: Site) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint yet"):
        trio.client.restore("g")
    trio.client.checkpoint("g")
    for name in ("nope", "@99"):
        with pytest.raises(NotFoundError, match=name):
            trio.client.restore("g", name)
    with pytest.raises(NotFoundError, match="no group"):
        trio.client.checkpoint("other")


def test_more_durability_than_there_is_is_refused(trio: Site) -> None:
    with pytest.raises(UnsupportedError):
        trio.client.checkpoint("g", wait="durable")
    assert trio.client.checkpoints("g") == []


def test_deleted_checkpoint_is_gone_from_attached_and_absent_members(trio: Site) -> None:
    for name in ("one", "two", "three"):
        trio.client.checkpoint("g", name)
    trio.client.delete_checkpoint("g", "two")
    with pytest.raises(ValueError, match="head"):
        trio.client.delete_checkpoint("g", "three")
    trio.workers["c"].ask("close")
    trio.until(lambda: trio.states()["c"] == "left", "c left")
    trio.client.delete_checkpoint("g", "one")
    assert trio.client.verify("g", "three") == ["a", "b", "c"]
    trio.kill_workers("a", "b")
    for member in "abc":
        assert _epochs(trio, member) == [3]


def _epochs(site: Site, member: str) -> list[int]:
    from mmsnap.memory import Region

    region = Region.open(site.pool, f"g.{member}", mode="r")
    try:
        return [record.epoch for record in region.checkpoints()]
    finally:
        region.close()


def test_pinned_checkpoint_says_so(trio: Site) -> None:
    trio.client.checkpoint("g", "kept")
    trio.client.pin("g", "kept")
    assert trio.client.find("g", "kept").pinned
    trio.client.unpin("g", "kept")
    assert not trio.client.find("g", "kept").pinned


def test_usage_tells_who_takes_what(trio: Site) -> None:
    trio.client.checkpoint("g")
    usage = trio.client.usage()
    assert usage.pool == str(trio.pool)
    assert [share.region for share in usage.regions] == ["g.a", "g.b", "g.c"]
    assert all(share.used_bytes > 0 and share.checkpoint_count == 1 for share in usage.regions)
    for share in usage.regions:
        assert share.base_bytes > 0
        assert share.log_bytes > 0
        # Every page the worker has written is its own, and in the base since the checkpoint.
        assert 0 < share.private_bytes <= share.base_bytes
