"""The service dies, or is stopped, or comes twice: members run on and find it again."""

import asyncio
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from mmsnap.errors import AgentUnavailableError, InUseError, MmsnapError, NotFoundError
from mmsnap.group.messages import Kind
from mmsnap.node.agent import Agent
from mmsnap_sdk.async_client import AsyncClient
from mmsnap_sdk.client import Client
from tests.node.fake_member import FakeMember
from tests.node.pool_site import Site
from tests.node.test_troubled_cut import Attempt


def test_agent_killed_in_the_middle_of_a_cut_leaves_nobody_stopped(trio: Site) -> None:
    trio.client.checkpoint("g", "before")
    odd = FakeMember(trio.address, "odd", on_loss="fresh")
    odd.join()
    attempt = Attempt(trio)
    odd.say(Kind.READY, odd.expect(Kind.BEGIN))
    odd.expect(Kind.QUIESCE)
    time.sleep(0.2)  # a, b and c are held now, and wait for odd
    trio.kill_agent()
    attempt.join(20)
    assert isinstance(attempt.error, AgentUnavailableError)
    time.sleep(0.5)
    for worker in trio.workers.values():
        assert 0.1 < worker.longest_stall(attempt.begun_ns) < 2.5
        assert worker.ask("show")["count"] > 0
    odd.close()
    trio.start_agent()
    trio.until(lambda: all(trio.states()[n] == "attached" for n in "abc"), "they came back")
    assert [c.name for c in trio.client.checkpoints("g")] == ["before"]
    trio.client.detach("g", "odd")
    trio.client.checkpoint("g")
    for worker in trio.workers.values():
        assert worker.ask("show")["rolled_back"] == []


def test_agent_frozen_in_the_middle_of_a_cut_can_not_commit_it(trio: Site) -> None:
    """The leases end while it is stopped; when it goes on, it must find the epoch void."""
    odd = FakeMember(trio.address, "odd", on_loss="fresh")
    odd.join()
    attempt = Attempt(trio)
    epoch = odd.expect(Kind.BEGIN)
    odd.say(Kind.READY, epoch)
    odd.expect(Kind.QUIESCE)
    os.kill(trio.agent.pid, signal.SIGSTOP)
    odd.say(Kind.HELD, epoch)
    time.sleep(2.5)
    for worker in trio.workers.values():
        assert worker.longest_stall(attempt.begun_ns) < 2.4
    os.kill(trio.agent.pid, signal.SIGCONT)
    attempt.join(20)
    assert attempt.error is not None
    assert trio.client.checkpoints("g") == []
    odd.close()


def test_service_that_fails_inside_ends_and_holds_nobody() -> None:
    site = Site("breaks")
    try:
        site.start_agent()
        site.start_workers("a", "b")
        attempt = Attempt(site)
        attempt.join(20)
        assert isinstance(attempt.error, MmsnapError)
        site.agent.join(10)
        assert site.agent.exitcode == 1
        time.sleep(0.1)
        for worker in site.workers.values():
            assert worker.longest_stall(attempt.begun_ns) < 1.5
    finally:
        site.close()


def test_members_run_on_without_the_service_and_come_back(trio: Site) -> None:
    trio.client.checkpoint("g", "one")
    assert trio.stop_agent() == 0
    before = {name: trio.workers[name].ask("show")["count"] for name in "abc"}
    time.sleep(0.3)
    with pytest.raises(AgentUnavailableError, match="agent"):
        trio.client.checkpoint("g")
    for name in "abc":
        assert trio.workers[name].ask("show")["count"] > before[name]
    trio.start_agent()
    trio.client.checkpoint("g", "two")
    for worker in trio.workers.values():
        assert worker.ask("show")["rolled_back"] == []
    trio.kill_workers()
    trio.assert_one_instant(2, trio.workers)


def test_member_that_died_while_the_service_was_away_takes_the_others_back(trio: Site) -> None:
    trio.client.checkpoint("g", "head")
    trio.kill_agent()
    trio.kill_workers("b")
    trio.start_agent()
    trio.start_workers("b")
    assert trio.workers["b"].ask("show")["restored"] == "head"
    for name in "ac":
        trio.await_rolled_back(name, "head")
    trio.until(trio.all_attached, "all attached")
    trio.client.checkpoint("g")


def test_member_that_missed_a_restore_is_brought_to_it(trio: Site) -> None:
    """It hangs through a restore of the others, and must not run on with what was undone."""
    trio.client.checkpoint("g", "one")
    trio.client.checkpoint("g", "two")
    trio.workers["c"].signal(signal.SIGSTOP)
    time.sleep(0.05)
    with pytest.raises(Exception, match="member c"):
        trio.client.restore("g", "one")
    assert trio.client.find("g").name == "two"
    trio.workers["c"].signal(signal.SIGCONT)
    trio.client.restore("g", "one")
    assert trio.workers["c"].ask("show")["rolled_back"][-1] == "one"


def test_everything_killed_at_once_comes_back_at_the_head(trio: Site) -> None:
    trio.client.checkpoint("g", "one")
    trio.kill_agent()
    trio.kill_workers()
    trio.start_agent()
    trio.start_workers("a", "b", "c")
    for worker in trio.workers.values():
        assert worker.ask("show")["restored"] == "one"
    trio.client.checkpoint("g")


def test_second_service_on_the_pool_is_refused_with_the_pid(site: Site) -> None:
    second = Agent(site.pool, f"unix://{site.folder / 'other.sock'}")
    with pytest.raises(InUseError, match="node service already") as refused:
        asyncio.run(second.start())
    assert refused.value.pid == site.agent.pid
    site.client.members()


def test_second_service_at_the_address_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InUseError, match="answers at"):
        asyncio.run(Agent(tmp_path, site.address).start())
    site.client.members()


def test_pool_that_is_not_there_is_named(empty_site: Site) -> None:
    missing = empty_site.folder / "missing"
    with pytest.raises(NotFoundError, match="missing"):
        asyncio.run(Agent(missing, empty_site.address).start())


def test_sockets_are_the_owners_alone(site: Site) -> None:
    run = site.folder / "run"
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    for name in ("agent.sock", "agent.sock.members"):
        assert stat.S_IMODE((run / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "address", ["http://x", "tcp://127.0.0.1:9527", "unix:", "unix://" + "/x" * 60]
)
def test_address_that_is_no_unix_socket_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|long"):
        Client(address)


def test_asyncio_client_has_the_same_names_and_errors(trio: Site) -> None:
    async def use() -> None:
        async with AsyncClient(trio.address) as client:
            steps: list[str] = []
            taken = await client.checkpoint("g", "one", progress=lambda p: steps.append(p.step))
            assert steps[0] == "begin"
            assert taken == (await client.checkpoints("g"))[0]
            assert (await client.find("g")).name == "one"
            await client.restore("g", "one")
            assert await client.verify("g", "one") == ["a", "b", "c"]
            with pytest.raises(NotFoundError):
                await client.pin("g", "nope")
            assert len(await client.members()) == 3
            assert (await client.usage()).pool == str(trio.pool)

    asyncio.run(use())
    blocking = {name for name in vars(Client) if not name.startswith("_")} - {"take"}
    assert blocking <= {name for name in vars(AsyncClient) if not name.startswith("_")}


def test_watcher_sees_what_happens_in_its_order(site: Site) -> None:
    events = site.client.watch("g")
    site.start_workers("a")
    site.client.checkpoint("g", "one")
    site.client.checkpoint("g", "two")
    site.client.restore("g", "one")
    site.client.delete_checkpoint("g", "two")
    site.kill_workers("a")
    kinds = []
    for event in events:
        kinds.append(event.kind)
        if event.kind == "lost":
            break
    assert kinds == ["attached", "checkpoint", "checkpoint", "restored", "deleted", "lost"]
