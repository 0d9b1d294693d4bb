"""Pruning a group, and the bytes of what was forgotten: gone everywhere, and nothing else is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

import mmsnap
from mmsnap import aio
from mmsnap.catalog import SqliteCatalog
from mmsnap.errors import NotFoundError
from mmsnap.group.messages import Kind
from mmsnap.memory import Region
from mmsnap.node.agent import CATALOG_FILE
from mmsnap_sdk.attaching import attach
from tests.node.fake_member import FakeMember
from tests.node.pool_site import Site
from tests.node.test_troubled_cut import Attempt


@pytest.fixture
def often() -> Iterator[Callable[[str], Site]]:
    """A site whose service sweeps all the time, with two members."""
    made: list[Site] = []

    def make(fault: str = "sweeps often") -> Site:
        made.append(site := Site(fault))
        site.start_agent()
        site.start_workers("a", "b")
        return site

    yield make
    for site in made:
        site.close()


def epochs(site: Site, member: str) -> list[int]:
    """What a member's region has, its head included."""
    region = Region.open(site.pool, f"g.{member}", mode="r")
    try:
        return [record.epoch for record in region.checkpoints()]
    finally:
        region.close()


def listed(site: Site) -> list[int]:
    return [each.epoch for each in site.client.checkpoints("g")]


def behind_its_back(site: Site) -> closing[SqliteCatalog]:
    """The catalog, while no service has it."""
    return closing(SqliteCatalog(site.pool / CATALOG_FILE))


def test_pruning_takes_unnamed_ones_only_and_their_bytes_follow(trio: Site) -> None:
    automatic = [trio.client.checkpoint("g").epoch for _ in range(5)]
    named = trio.client.checkpoint("g", "named").epoch
    trio.client.pin("g", f"@{automatic[1]}")
    trio.client.checkpoint("g", "head")
    told = trio.client.prune("g", keep_last=2, dry_run=True)
    assert [each.epoch for each in told] == [automatic[0], automatic[2]]
    assert len(listed(trio)) == 7, "a dry run deletes nothing"
    gone = trio.client.prune("g", keep_last=2)
    assert [each.name for each in gone] == [each.name for each in told]
    kept = [automatic[1], *automatic[3:], named, named + 1]
    assert listed(trio) == kept
    for member in "abc":
        trio.until(lambda m=member: epochs(trio, m) == kept, f"{member} has no more than that")
    assert trio.client.prune("g", keep_within="1h") == []
    with pytest.raises(ValueError, match="keep_last= or keep_within="):
        trio.client.prune("g")
    with pytest.raises(NotFoundError):
        trio.client.prune("other", keep_last=1)


def test_the_asyncio_client_prunes_alike(trio: Site) -> None:
    taken = [trio.client.checkpoint("g").epoch for _ in range(3)]

    async def prune() -> list[int]:
        async with aio.Client(trio.address) as client:
            gone = await client.prune("g", keep_last=1, keep_within="0s", dry_run=True)
            assert gone == await client.prune("g", keep_last=1)
            return [each.epoch for each in gone]

    assert asyncio.run(prune()) == taken[:2]
    assert listed(trio) == taken[2:]


def test_the_head_stays_when_it_is_the_oldest(trio: Site) -> None:
    first = trio.client.checkpoint("g").epoch
    for _ in range(3):
        trio.client.checkpoint("g")
    trio.client.restore("g", f"@{first}")
    told = trio.client.prune("g", keep_last=0, dry_run=True)
    assert first not in [each.epoch for each in told]
    assert trio.client.prune("g", keep_last=0) == told
    assert listed(trio) == [first]
    assert trio.client.restore("g").epoch == first


def test_a_restore_is_pending_on_what_prune_would_delete(site: Site) -> None:
    site.start_workers("a")
    pending, other = (site.client.checkpoint("g").epoch for _ in range(2))
    head = site.client.checkpoint("g").epoch
    site.kill_agent()
    with behind_its_back(site) as catalog:
        catalog.set_pending("g", pending)
    site.start_agent()
    assert [each.epoch for each in site.client.prune("g", keep_last=0)] == [other]
    with pytest.raises(ValueError, match="waits for programs"):
        site.client.delete_checkpoint("g", f"@{pending}")
    assert listed(site) == [pending, head]


def test_keep_last_of_attached_apps_is_the_services_to_prune(site: Site) -> None:
    with attach("g", "m", size="16MiB", address=site.address, keep_last=2) as app:
        named = app.checkpoint("named").epoch
        taken = [app.checkpoint().epoch for _ in range(5)]
        assert listed(site) == [named, *taken[-2:]]
        assert app.last_error is None
        gone = app.prune(keep_last=1, keep_within=timedelta(0), dry_run=True)
        assert [each.epoch for each in gone] == taken[-2:-1]
        assert app.prune(keep_last=1) == gone
        site.until(lambda: epochs(site, "m") == listed(site), "the bytes are gone too")


def test_prunes_and_checkpoints_at_once_lose_nothing_that_is_kept(trio: Site) -> None:
    def take(name: str) -> None:
        for number in range(8):
            trio.client.checkpoint("g", f"{name}-{number}", automatic=True)
            trio.client.prune("g", keep_last=3)

    threads = [threading.Thread(target=take, args=(name,)) for name in ("x", "y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    trio.client.prune("g", keep_last=3)
    kept = listed(trio)
    assert len(kept) == 3
    for member in "abc":
        trio.until(lambda m=member: epochs(trio, m) == kept, f"{member} has what is listed")
    for epoch in kept:
        assert trio.client.verify("g", f"@{epoch}") == ["a", "b", "c"]


def test_a_mark_whose_end_a_member_did_not_hear_keeps_no_bytes(trio: Site) -> None:
    for name in ("one", "two", "three"):
        trio.client.checkpoint("g", name)
    trio.client.pin("g", "one")
    trio.client.pin("g", "two")
    with pytest.raises(ValueError, match="unpin it"):
        trio.client.delete_checkpoint("g", "one")
    trio.workers["c"].ask("close")
    trio.until(lambda: trio.states()["c"] == "left", "c left")
    for name in ("one", "two"):
        trio.client.unpin("g", name)
    trio.client.delete_checkpoint("g", "one")
    assert epochs(trio, "c") == [2, 3]
    trio.kill_agent()
    with behind_its_back(trio) as catalog:
        catalog.delete("g", 2)
    trio.fault = "does not sweep"  # so the member has to find it when it comes back
    trio.start_agent()
    trio.start_workers("c")
    assert epochs(trio, "c") == [3]


def test_what_was_forgotten_while_the_service_was_down_goes_from_living_and_dead_members(
    often: Callable[[], Site],
) -> None:
    site = often()
    for name in ("one", "two", "three"):
        site.client.checkpoint("g", name)
    site.client.pin("g", "one")
    site.kill_agent()
    site.kill_workers("b")
    with behind_its_back(site) as catalog:
        catalog.pin("g", 1, False)
        catalog.delete("g", 1)
        catalog.delete("g", 2)
    assert epochs(site, "b") == [1, 2, 3]
    site.start_agent()
    for member in "ab":
        site.until(lambda m=member: epochs(site, m) == [3], f"{member} has what is listed")
    site.workers.pop("b")
    site.start_workers("b")
    assert site.client.verify("g", "three") == ["a", "b"]


def test_what_only_has_the_name_of_a_member_is_left_alone(often: Callable[[], Site]) -> None:
    site = often()
    with mmsnap.open(site.pool, "g.stranger", size="16MiB") as app:
        for _ in range(3):
            app.checkpoint()
    with mmsnap.open(site.pool, "nobodys.a", size="16MiB") as app:
        for _ in range(3):
            app.checkpoint()
    part = site.pool / "processes" / "nobodys.b" / "1"
    part.mkdir(parents=True)
    never_given = site.pool / "processes" / "g.a" / "77"
    never_given.mkdir(parents=True)
    first, second = (site.client.checkpoint("g").epoch for _ in range(2))
    site.client.delete_checkpoint("g", f"@{first}")
    site.until(lambda: epochs(site, "a") == [second], "it was swept")
    assert (len(epochs(site, "stranger")), part.exists(), never_given.exists()) == (4, True, True)
    reader = Region.open(site.pool, "nobodys.a", mode="r")
    assert len(reader.checkpoints()) == 4
    reader.close()


def test_an_export_under_way_stays_whole_when_its_checkpoint_is_pruned(site: Site) -> None:
    values = np.random.default_rng(5).integers(0, 1 << 60, 6 << 20)  # 48 MiB that do not shrink
    with attach("g", "m", size="128MiB", address=site.address) as app:
        array = app.array("values", values.shape, np.int64)
        with app.update():
            array[:] = values
        exported = app.checkpoint()
        archive = site.client.export("g", exported.name)
        pieces = [next(archive).data]
        with app.update():
            array[:] = 0
        app.checkpoint()
        assert [each.name for each in app.prune(keep_last=0)] == [exported.name]
        site.until(lambda: exported.epoch not in epochs(site, "m"), "the region forgot it")
        with app.update():
            array[:] = 1
        app.checkpoint("later")
        pieces += [piece.data for piece in archive]
    assert site.client.import_(pieces, "copy").name == exported.name
    with attach("copy", "m", size="128MiB", address=site.address) as app:
        assert np.array_equal(app.array("values"), values)


def test_a_verification_under_way_keeps_the_bytes_until_it_has_done(
    often: Callable[[str], Site],
) -> None:
    site = often("reads slowly")
    for name in ("one", "two"):
        site.client.checkpoint("g", name)
    whole: list[list[str]] = []
    reading = threading.Thread(target=lambda: whole.append(site.client.verify("g", "one")))
    reading.start()
    site.until(lambda: reading.is_alive(), "it reads")
    time.sleep(0.5)
    site.client.delete_checkpoint("g", "one")
    assert listed(site) == [2], "it keeps nobody from deleting"
    assert (epochs(site, "a"), epochs(site, "b")) == ([1, 2], [1, 2])
    reading.join(30)
    assert whole == [["a", "b"]]
    for member in "ab":
        site.until(lambda m=member: epochs(site, m) == [2], f"{member} follows afterwards")


@pytest.mark.parametrize("committed", [True, False])
def test_a_sealed_part_that_was_in_doubt_is_decided_and_not_taken_for_waste(
    empty_site: Site, committed: bool
) -> None:
    site = empty_site
    site.fault = "sweeps often"
    site.start_agent()
    site.start_workers("a")
    for _ in range(2):
        site.client.checkpoint("g")
    odd = FakeMember(site.address, "odd", on_loss="fresh")
    odd.join()
    attempt = Attempt(site)
    odd.say(Kind.READY, odd.expect(Kind.BEGIN))
    odd.say(Kind.HELD, odd.expect(Kind.QUIESCE))
    odd.say(Kind.CUT_DONE, epoch := odd.expect(Kind.CUT))
    odd.expect(Kind.RESUME)
    time.sleep(0.5)  # the other one seals
    site.kill_agent()
    site.kill_workers("a")
    attempt.join(20)
    odd.close()
    with behind_its_back(site) as catalog:
        if committed:
            sealed = replace(catalog.find("g"), epoch=epoch, name="sealed")
            catalog.commit(sealed)
        else:
            assert not catalog.settle("g", epoch)
        catalog.delete("g", 1)
    site.start_agent()
    kept = [2, epoch] if committed else [2]
    site.until(lambda: epochs(site, "a") == kept, f"it has {kept}")
    assert site.client.verify("g") == ["a"]
