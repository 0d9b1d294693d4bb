"""The fear: a restore does too much, stops half-way, or never ends. Without a cluster."""

from __future__ import annotations

import asyncio

import pytest

from mmsnap.errors import AgentUnavailableError
from mmsnap_operator.cluster import ApiError
from mmsnap_operator.requests.ending import condition
from mmsnap_operator.restores.running import RestoreRunning
from mmsnap_sdk.service_records import GroupCheckpoint
from tests.operator.restore_site import GROUP, cluster
from tests.operator.restoring import asked, memory, outcome, replicas, run

LONG_AGO = "2026-01-01T00:00:00Z"
COPY = {"kind": "StatefulSet", "name": "copy"}


# ---- as it should be ---------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["InPlace", "Recreate"])
def test_group_is_not_where_it_is_said_to_be(strategy: str) -> None:
    site, api, agent = cluster()
    status = run(site, asked(api, strategy))
    assert outcome(status) == ("Complete", "Restored")
    assert (agent.groups[GROUP].head, replicas(api)) == (41, 2)
    assert (status["memberCount"], "awaited" in status, "step" in status) == (2, False, False)
    assert agent.calls.count("verify") == 1


def test_clone_is_not_a_group_of_its_own() -> None:
    site, api, agent = cluster()
    status = run(site, asked(api, "Clone", target=COPY))
    assert outcome(status) == ("Complete", "Restored")
    assert agent.attached("demo--copy") == ["copy-0", "copy-1"]
    assert agent.groups[GROUP].head == 42


# ---- it ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["Recreate", "Clone"])
def test_restore_in_a_namespace_that_goes_holds_it_for_ever(strategy: str) -> None:
    site, api, _ = cluster()
    if strategy == "Recreate":
        del api.objects["StatefulSet", "demo", "hz"]
    api.trouble["create", "StatefulSet"] = ApiError(403, "namespace demo is being terminated")
    api.trouble["create", "Event"] = ApiError(403, "namespace demo is being terminated")
    status = run(site, asked(api, strategy, target=COPY if strategy == "Clone" else None))
    assert outcome(status) == ("Failed", "ApiServer")
    assert "being terminated" in condition({"status": status}, "Failed")["message"]


def test_api_server_that_refuses_for_a_while_is_taken_at_its_word() -> None:
    site, api, _ = cluster()
    made = asked(api, "Recreate", timeoutSeconds=30)
    api.trouble["patch", "StatefulSet"] = ApiError(409, "it changed meanwhile")
    assert outcome(run(site, made, meanwhile=api.trouble.clear)) == ("Complete", "Restored")


@pytest.mark.parametrize("call", ["verify", "clone"])
def test_agent_that_never_answers_is_waited_for_beyond_the_time(call: str) -> None:
    site, api, agent = cluster()
    agent.endless.add(call)
    status = run(site, asked(api, "Clone", target=COPY, timeoutSeconds=1))
    assert outcome(status) == ("Failed", "AgentUnavailable")
    assert "not in time" in condition({"status": status}, "Failed")["message"]


def test_deletion_waits_for_an_agent_that_never_answers() -> None:
    site, api, agent = cluster()
    agent.endless.add("restore")
    made = asked(api, "Recreate", timeoutSeconds=3600)

    async def deleted() -> None:
        one = RestoreRunning(site, made)
        task = asyncio.create_task(one.run())
        await agent.stuck.wait()
        assert replicas(api) == 0
        one.deleted.set()
        async with asyncio.timeout(2):
            await task

    asyncio.run(deleted())
    assert outcome(made["status"]) == ("Failed", "Deleted")
    assert replicas(api) == 2


# ---- after an operator died --------------------------------------------------------------------


def test_what_came_since_is_thrown_away_by_a_second_restore() -> None:
    """The first operator's restore was carried out, and the application checkpoints itself."""
    site, api, agent = cluster()
    asyncio.run(agent.restore(GROUP, "@41"))
    agent.checkpoint(GROUP)
    agent.checkpoint(GROUP)
    agent.calls.clear()
    status = run(site, asked(api, "InPlace", {"step": "Restoring"}))
    assert outcome(status) == ("Complete", "Restored")
    assert "restore" not in agent.calls
    assert agent.groups[GROUP].head > 42


def test_other_restore_is_taken_for_this_one() -> None:
    site, api, agent = cluster()
    asyncio.run(agent.restore(GROUP, "@42"))
    agent.checkpoint(GROUP)
    run(site, asked(api, "InPlace", {"step": "Restoring"}))
    assert agent.groups[GROUP].head == 41


@pytest.mark.parametrize("strategy", ["InPlace", "Recreate"])
def test_application_that_checkpoints_at_once_is_waited_for(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, api, agent = cluster(members=memory("hz-0", "hz-1"))
    whole = agent.restore

    async def restore(group: str, name: str) -> GroupCheckpoint:
        restored = await whole(group, name)
        agent.checkpoint(group)
        return restored

    monkeypatch.setattr(agent, "restore", restore)
    assert outcome(run(site, asked(api, strategy))) == ("Complete", "Restored")
    assert agent.calls.count("restore") == 1


def test_programs_that_are_to_be_started_are_not_waited_for() -> None:
    """Others of their group, lost with their pods, were taken back to its head meanwhile."""
    site, api, agent = cluster()
    known = agent.groups[GROUP]
    known.head, known.restore_epoch = 41, 50
    api.objects["StatefulSet", "demo", "hz"]["spec"]["replicas"] = 0
    status = run(site, asked(api, "Recreate", {"step": "Restoring", "replicas": 2}))
    assert outcome(status) == ("Complete", "Restored")
    assert known.restore_epoch > 50


@pytest.mark.parametrize("step", ["Stopping", "Restoring"])
@pytest.mark.parametrize("deleted", [False, True])
def test_set_stays_at_nothing_when_the_next_operator_can_not_go_on(
    step: str, deleted: bool
) -> None:
    site, api, agent = cluster()
    api.objects["StatefulSet", "demo", "hz"]["spec"]["replicas"] = 0
    agent.trouble["find"] = [AgentUnavailableError("away")] * 99
    begun = {"step": step, "replicas": 2, "startTime": LONG_AGO}
    status = run(site, asked(api, "Recreate", begun), deleted=deleted)
    assert outcome(status) == ("Failed", "Deleted" if deleted else "AgentUnavailable")
    assert replicas(api) == 2


def test_set_stays_at_nothing_when_the_bytes_are_gone() -> None:
    site, api, agent = cluster()
    api.objects["StatefulSet", "demo", "hz"]["spec"]["replicas"] = 0
    agent.groups.clear()
    status = run(site, asked(api, "Recreate", {"step": "Restoring", "replicas": 2}))
    assert outcome(status) == ("Failed", "BytesGone")
    assert replicas(api) == 2


def test_pods_that_can_not_be_given_back_hold_the_request_for_ever() -> None:
    site, api, agent = cluster()
    api.objects["StatefulSet", "demo", "hz"]["spec"]["replicas"] = 0
    agent.groups.clear()
    api.trouble["patch", "StatefulSet"] = ApiError(500, "somebody's webhook fails")
    status = run(site, asked(api, "Recreate", {"step": "Restoring", "replicas": 2}))
    assert outcome(status) == ("Failed", "BytesGone")
    assert "somebody's webhook" in condition({"status": status}, "Failed")["message"]


def test_copy_under_way_fails_the_clone() -> None:
    """The agent copies on while the next operator asks again."""
    site, api, agent = cluster()
    agent.trouble["clone"] = [FileExistsError("a member of that name is there already")] * 999
    made = asked(api, "Clone", {"step": "Cloning", "group": "demo--copy"}, target=COPY)
    names = {"hz-0": "copy-0", "hz-1": "copy-1"}
    status = run(site, made, meanwhile=lambda: agent.adopt(GROUP, 41, "demo--copy", names))
    assert outcome(status) == ("Complete", "Restored")


@pytest.mark.parametrize("step", [None, "Cloning"])
def test_clone_takes_over_a_group_of_somebody_else(step: str | None) -> None:
    site, api, agent = cluster()
    agent.adopt(GROUP, 41, "demo--copy", {"hz-0": "mine-0", "hz-1": "mine-1"})
    begun = None if step is None else {"step": step, "group": "demo--copy"}
    status = run(site, asked(api, "Clone", begun, target=COPY))
    assert outcome(status) == ("Failed", "GroupExists")


def test_copy_that_came_too_late_is_in_the_way_for_ever() -> None:
    site, api, agent = cluster()
    agent.adopt(GROUP, 41, "demo--copy", {"hz-0": "copy-0", "hz-1": "copy-1"})
    status = run(site, asked(api, "Clone", target=COPY))
    assert outcome(status) == ("Complete", "Restored")
    assert "clone" not in agent.calls
