"""The fear: a request never ends, or ends well without the checkpoint that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mmsnap.catalog import NoMajorityError
from mmsnap.errors import AbortedError, AgentUnavailableError, BusyError, PauseExceededError
from mmsnap_operator.checkpoints import cut, limit
from mmsnap_operator.checkpoints.naming import catalog_name
from mmsnap_operator.checkpoints.taking import CheckpointTaking
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_sdk.service_records import GroupCheckpoint
from tests.operator.fake_site import (
    FakeAgents,
    FakeApi,
    WaitingAgents,
    begun,
    demo_cluster,
    site_of,
    soon,
)
from tests.operator.request_samples import captured_pod, request, taken

NAME = catalog_name(request())


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("mmsnap_operator.checkpoints.taking._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(cut, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(limit, "_ENDING", timedelta(seconds=0.2))


def of(api: FakeApi, agents: FakeAgents) -> CheckpointTaking:
    return CheckpointTaking(site_of(api, agents), api.named(kinds.CHECKPOINT_REQUEST, "one"))


def run(work: Coroutine[Any, Any, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(5):
            await work

    asyncio.run(in_time())


def carried_out(api: FakeApi, agents: FakeAgents) -> dict[str, Any]:
    """The status at the end."""

    async def work() -> None:
        await of(api, agents).run()

    run(work())
    status: dict[str, Any] = api.named(kinds.CHECKPOINT_REQUEST, "one")["status"]
    return status


def reason_of(status: dict[str, Any]) -> tuple[str, str]:
    """How it ended, and why."""
    told = {one["type"]: one for one in status["conditions"]}
    ended = "Failed" if "Failed" in told else told["Complete"]["status"]
    return ended, told["Complete"]["reason"]


def test_checkpoint_is_not_taken() -> None:
    api = demo_cluster()
    status = carried_out(api, FakeAgents())
    assert reason_of(status) == ("True", "Committed")
    assert status["members"] == ["hz-0", "hz-1"]
    assert status["checkpointName"] == f"hz-{NAME}"
    made = api.named(kinds.CHECKPOINT, f"hz-{NAME}")
    assert made["status"]["name"] == NAME
    assert [row["imageID"] for row in made["status"]["members"]] == ["sha256:1", "sha256:1"]


class TestEnd:
    def test_request_outlives_its_time_while_no_agent_answers(self) -> None:
        api, agents = demo_cluster(timeoutSeconds=1), FakeAgents()
        agents.away = True
        assert reason_of(carried_out(api, agents)) == ("Failed", "AgentUnavailable")

    def test_request_that_is_deleted_waits_for_agents_that_are_away(self) -> None:
        api, agents = demo_cluster(timeoutSeconds=3600), FakeAgents()
        agents.away = True

        async def work() -> None:
            running = of(api, agents)
            task = asyncio.create_task(running.run())
            await soon(lambda: running.has_begun)
            running.deleted.set()
            await task

        run(work())
        assert agents.takes == 0
        status = api.named(kinds.CHECKPOINT_REQUEST, "one")["status"]
        assert reason_of(status) == ("False", "AgentUnavailable")

    @pytest.mark.parametrize("is_deleted", [True, False])
    def test_agent_that_is_silent_holds_it_up(self, is_deleted: bool) -> None:
        api, agents = demo_cluster(timeoutSeconds=3600 if is_deleted else 1), FakeAgents()

        async def never(name: str) -> GroupCheckpoint:
            await asyncio.sleep(3600)
            raise AssertionError

        agents.on_take = never

        async def work() -> None:
            running = of(api, agents)
            task = asyncio.create_task(running.run())
            await soon(lambda: agents.takes > 0)
            if is_deleted:
                running.deleted.set()
            await task

        run(work())
        assert agents.takes == 1

    def test_what_was_taken_is_not_found_after_the_time(self) -> None:
        api, agents = demo_cluster(timeoutSeconds=1), FakeAgents()
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = begun(30)
        agents.commit(NAME)
        assert reason_of(carried_out(api, agents)) == ("True", "Committed")

    def test_cut_under_way_at_a_deletion_leaves_bytes_without_an_object(self) -> None:
        api, agents = demo_cluster(timeoutSeconds=3600), FakeAgents()

        async def slowly(name: str) -> GroupCheckpoint:
            await asyncio.sleep(0.1)
            return agents.commit(name)

        agents.on_take = slowly

        async def work() -> None:
            running = of(api, agents)
            task = asyncio.create_task(running.run())
            await soon(lambda: agents.takes > 0)
            running.deleted.set()
            await task

        run(work())
        assert len(api.all(kinds.CHECKPOINT)) == len(agents.catalog) == 1

    @pytest.mark.parametrize("status", [403, 413, 422])
    def test_object_that_may_not_be_made_is_tried_for_ever(self, status: int) -> None:
        api = demo_cluster()
        api.refusals["create Checkpoint"] = ApiError(status, "exceeded quota")
        ended = carried_out(api, FakeAgents())
        assert reason_of(ended) == ("Failed", "CheckpointNotMade")
        assert "exceeded quota" in ended["conditions"][0]["message"]

    def test_api_server_that_knows_no_roles_yet_is_taken_at_its_word(self) -> None:
        api, agents = demo_cluster(), FakeAgents()
        words = 'checkpoints "one" is forbidden: User "operator" cannot create resource'
        api.refusals["create Checkpoint"] = ApiError(403, words)
        with pytest.raises(ApiError):  # to be run again
            carried_out(api, agents)
        del api.refusals["create Checkpoint"]
        assert reason_of(carried_out(api, agents)) == ("True", "Committed")
        assert agents.takes == 1

    def test_namespace_that_goes_is_held_up(self) -> None:
        api = demo_cluster()
        api.refusals["create Checkpoint"] = ApiError(403, "it is being terminated")
        api.named(kinds.NAMESPACE, "demo", "")["metadata"]["deletionTimestamp"] = "now"
        assert reason_of(carried_out(api, FakeAgents())) == ("True", "Committed")

    def test_api_server_that_refuses_to_list_holds_it_up(self) -> None:
        api = demo_cluster(timeoutSeconds=1)
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = begun()
        api.refusals["list Pod"] = ApiError(403, "not allowed")
        assert reason_of(carried_out(api, FakeAgents())) == ("Failed", "ApiServer")

    def test_api_server_that_fails_at_the_object_does_so_for_ever(self) -> None:
        api, agents = demo_cluster(timeoutSeconds=1), FakeAgents()
        agents.commit(NAME)
        api.refusals["create Checkpoint"] = ApiError(500, "a webhook failed")
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = begun(30)
        with pytest.raises(ApiError):
            carried_out(api, agents)
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = begun(90)
        assert reason_of(carried_out(api, agents)) == ("Failed", "ApiServer")


class TestMembers:
    def test_member_that_left_before_the_cut_is_not_missed(self) -> None:
        api, agents = demo_cluster(), FakeAgents()

        async def without_one(name: str) -> GroupCheckpoint:
            agents.attached = ["hz-0"]
            return agents.commit(name)

        agents.on_take = without_one
        status = carried_out(api, agents)
        assert reason_of(status) == ("Failed", "MembersMissing")
        assert "hz-1" in status["conditions"][0]["message"]

    def test_it_is_not_missed_by_the_next_operator(self) -> None:
        api, agents = demo_cluster(), FakeAgents()
        agents.attached = ["hz-0"]
        agents.commit(NAME)
        status = begun(1, "Taking", members=["hz-0", "hz-1"])
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = status
        assert reason_of(carried_out(api, agents)) == ("Failed", "MembersMissing")

    @pytest.mark.parametrize("is_found_at_once", [True, False])
    def test_image_of_a_later_pod_is_told_as_that_of_the_checkpoint(
        self, is_found_at_once: bool
    ) -> None:
        api, agents = demo_cluster(), FakeAgents()
        made = taken(name=NAME)
        later = captured_pod("hz-1", image_id="sha256:2")
        running = {"startedAt": (made.created + timedelta(seconds=5)).isoformat()}
        later["status"]["containerStatuses"][0]["state"]["running"] = running
        api.add(later, "Pod")
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = begun(1, "Taking")

        async def there_already(name: str) -> GroupCheckpoint:
            agents.commit(NAME)
            raise FileExistsError

        agents.on_take = there_already
        if is_found_at_once:
            agents.commit(NAME)
        carried_out(api, agents)
        assert agents.takes == (0 if is_found_at_once else 1)
        rows = api.named(kinds.CHECKPOINT, f"hz-{NAME}")["status"]["members"]
        assert [row.get("imageID") for row in rows] == ["sha256:1", None]

    def test_pods_that_are_rolled_fail_a_request_by_selector(self) -> None:
        selector = {"selector": {"matchLabels": {"app": "hz"}}}
        api, agents = demo_cluster(source=selector), FakeAgents()

        async def work() -> None:
            task = asyncio.create_task(of(api, agents).run())
            await soon(lambda: bool(api.patched))
            assert api.patched[0]["conditions"][0]["reason"] == "NoPods"
            assert "startTime" in api.patched[0]
            for name in ("hz-0", "hz-1"):
                api.add(captured_pod(name, app="hz"), "Pod")
            await task

        run(work())
        status = api.named(kinds.CHECKPOINT_REQUEST, "one")["status"]
        assert reason_of(status) == ("True", "Committed")

    def test_pods_that_never_come_are_waited_for_for_ever(self) -> None:
        selector = {"selector": {"matchLabels": {"app": "hz"}}}
        api = demo_cluster(source=selector, timeoutSeconds=1)
        assert reason_of(carried_out(api, FakeAgents())) == ("Failed", "NoPods")


class TestDoubt:
    def test_cut_of_an_operator_that_died_is_given_up(self) -> None:
        """The agent is busy with it, so that no second one can be had, and then it is there."""
        api, agents = demo_cluster(), FakeAgents()
        api.named(kinds.CHECKPOINT_REQUEST, "one")["status"] = begun(1, "Taking")

        async def aborted(name: str) -> GroupCheckpoint:
            raise AbortedError("a member is busy")

        agents.on_take = aborted

        async def work() -> None:
            task = asyncio.create_task(of(api, agents).run())
            await soon(lambda: agents.takes == 3)
            await asyncio.sleep(0.05)
            assert agents.takes == 3
            agents.commit(NAME)
            await task

        run(work())
        status = api.named(kinds.CHECKPOINT_REQUEST, "one")["status"]
        assert reason_of(status) == ("True", "Committed")

    def test_cut_whose_agent_died_is_given_up(self) -> None:
        api, agents = demo_cluster(), FakeAgents()

        async def dies(name: str) -> GroupCheckpoint:
            if agents.takes == 1:
                raise AgentUnavailableError("it did not answer in time")
            agents.commit(name)
            raise PauseExceededError("the second one is too long")

        agents.on_take = dies
        assert reason_of(carried_out(api, agents)) == ("True", "Committed")

    def test_doubt_is_forgotten_with_the_operator(self) -> None:
        api, agents = demo_cluster(timeoutSeconds=1), FakeAgents()

        async def dies(name: str) -> GroupCheckpoint:
            raise AgentUnavailableError("it did not answer in time")

        agents.on_take = dies
        status = carried_out(api, agents)
        assert reason_of(status) == ("Failed", "AgentUnavailable")
        assert "may still take" in status["conditions"][0]["message"]
        under_way = [one["conditions"][0]["reason"] for one in api.patched]
        assert set(under_way[1:-1]) == {"Taking"}

    def test_group_that_is_busy_fails_it(self) -> None:
        api, agents = demo_cluster(), FakeAgents()

        async def busy(name: str) -> GroupCheckpoint:
            if agents.takes < 8:
                raise BusyError("group demo--hz is busy")
            return agents.commit(name)

        agents.on_take = busy
        assert reason_of(carried_out(api, agents)) == ("True", "Committed")

    def test_etcd_without_a_majority_fails_it_before_anything_was_tried(self) -> None:
        api, agents = demo_cluster(), FakeAgents()
        looks = iter(range(1000))

        def silent() -> None:
            assert not agents.takes
            if next(looks) < 8:
                raise NoMajorityError("etcd has no majority")

        agents.on_find = silent
        assert reason_of(carried_out(api, agents)) == ("True", "Committed")

    def test_cut_that_is_always_aborted_is_tried_until_the_time_is_over(self) -> None:
        api, agents = demo_cluster(), FakeAgents()

        async def aborted(name: str) -> GroupCheckpoint:
            raise AbortedError("member hz-0 did not answer in time")

        agents.on_take = aborted
        assert reason_of(carried_out(api, agents)) == ("Failed", "Aborted")
        assert agents.takes == 3


class TestCopies:
    def test_first_holders_are_told_for_good(self) -> None:
        api, agents = demo_cluster(durability="Replicated"), WaitingAgents()

        def copied(one: GroupCheckpoint) -> GroupCheckpoint:
            parts = tuple(replace(part, copies=("n1", "n2")) for part in one.members)  # type: ignore[call-arg]
            return replace(one, durability="replicated", members=parts)

        agents.on_wait = copied
        assert reason_of(carried_out(api, agents)) == ("True", "Committed")
        rows = api.named(kinds.CHECKPOINT, f"hz-{NAME}")["status"]["members"]
        assert [row["copies"] for row in rows] == [["n1", "n2"]] * 2

    def test_checkpoint_deleted_meanwhile_is_waited_for(self) -> None:
        api, agents = demo_cluster(durability="Replicated", timeoutSeconds=3600), WaitingAgents()

        def deleted(one: GroupCheckpoint) -> GroupCheckpoint:
            agents.catalog.clear()
            return one

        agents.on_wait = deleted
        assert reason_of(carried_out(api, agents)) == ("Failed", "BytesGone")
