"""The fear: a restore does too much, stops half-way, or never ends. Without a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mmsnap.errors import BUSY, AbortedError, AgentUnavailableError
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.requests.ending import as_text, condition, now
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores import running
from mmsnap_operator.restores.origin import Origin
from mmsnap_operator.restores.preflight import examine
from mmsnap_operator.restores.running import RestoreRunning
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import template_of
from mmsnap_sdk.service_records import GroupCheckpoint, GroupMemberCheckpoint
from tests.operator.request_samples import request, stateful_set, taken
from tests.operator.restore_site import GROUP, FakeAgent, FakeApi, cluster

Manifest = dict[str, Any]
LONG_AGO = "2026-01-01T00:00:00Z"
COPY = {"kind": "StatefulSet", "name": "copy"}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(running, "_ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr(running, "_GIVING_UP_SECONDS", 0.05)


def memory(*names: str) -> tuple[GroupMemberCheckpoint, ...]:
    """Parts of members that are no programs."""
    part = taken().members[0]
    assert isinstance(part, GroupMemberCheckpoint)
    return tuple(replace(part, member=name, engine="memory") for name in names)


def asked(api: FakeApi, strategy: str, status: Manifest | None = None, **spec: Any) -> Manifest:
    known = {"source": {"checkpointName": "hz-1"}, "preflightOnly": False, "timeoutSeconds": 5}
    made = request("RestoreRequest", **{**known, "strategy": strategy, **spec})
    if status is not None:
        begun = {"checkpointName": "hz-1", "epoch": 41, "sourceGroup": GROUP, "group": GROUP}
        made["status"] = {**begun, "startTime": as_text(now()), "beforeEpoch": 0, **status}
    return api.put(kinds.RESTORE_REQUEST, made)


def run(
    site: Site,
    made: Manifest,
    *,
    deleted: bool = False,
    meanwhile: Callable[[], object] | None = None,
) -> Manifest:
    """Its status at the end; a moment after it began, something happens."""

    async def to_its_end() -> None:
        one = RestoreRunning(site, made)
        if deleted:
            one.deleted.set()
        if meanwhile is not None:
            asyncio.get_running_loop().call_later(0.05, meanwhile)
        async with asyncio.timeout(10):
            await one.run()

    asyncio.run(to_its_end())
    status: Manifest = made["status"]
    return status


def outcome(status: Manifest) -> tuple[str, str]:
    for kind in ("Complete", "Failed"):
        told = condition({"status": status}, kind)
        if told.get("status") == "True":
            return kind, told["reason"]
    raise AssertionError("it has not ended")


def replicas(api: FakeApi) -> int:
    found: int = api.objects["StatefulSet", "demo", "hz"]["spec"]["replicas"]
    return found


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
    assert outcome(status) == ("Failed", "ApiError")
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


# ---- how many pods -----------------------------------------------------------------------------


def by_schedule(replicas: int = 3) -> tuple[Site, FakeApi, FakeAgent]:
    """A checkpoint of the agents' own: it has no object; every pod has two members."""
    names = [f"hz-{n}{more}" for n in range(3) for more in ("", "--log")]
    site, api, agent = cluster(
        replicas, members=memory(*names), labels={"mm.memverge.com/schedule": "demo.often"}
    )
    live = api.objects["StatefulSet", "demo", "hz"]
    live["spec"]["template"]["spec"]["containers"].append({"name": "log", "image": "log:1"})
    del api.objects["Checkpoint", "demo", "hz-1"]
    source = {"kind": "StatefulSet", "name": "hz"}
    schedule = {"metadata": {"name": "often", "namespace": "demo"}}
    spec = {"template": {"spec": {"source": source}}}
    api.put(kinds.CHECKPOINT_SCHEDULE, {**schedule, "spec": spec})
    return site, api, agent


@pytest.mark.parametrize("before", [3, 0])
def test_containers_are_counted_as_pods(before: int) -> None:
    site, api, _ = by_schedule(before)
    status = run(site, asked(api, "Recreate", source={"scheduleName": "often"}))
    assert outcome(status) == ("Complete", "Restored")
    assert (replicas(api), status["replicas"]) == (3, before)


def test_set_that_was_scaled_since_gets_another_number() -> None:
    site, api, _ = by_schedule(2)
    status = run(site, asked(api, "Recreate", source={"scheduleName": "often"}))
    assert outcome(status) == ("Failed", "ReplicasChanged")
    assert replicas(api) == 2


def test_set_that_somebody_had_at_nothing_is_scaled_up_by_a_failure() -> None:
    site, api, agent = cluster(replicas=0)
    agent.trouble["restore"] = [AbortedError("no room")] * 9
    status = run(site, asked(api, "Recreate", {"step": "Restoring", "replicas": 0}))
    assert outcome(status) == ("Failed", "Aborted")
    assert replicas(api) == 0


# ---- checks and patience -----------------------------------------------------------------------


def test_operator_that_just_started_fails_what_comes_first() -> None:
    site, api, agent = cluster(labels={"mm.memverge.com/schedule": "demo.often"})
    schedule = {"metadata": {"name": "often", "namespace": "demo"}}
    spec = {"template": {"spec": {"source": {"kind": "StatefulSet", "name": "hz"}}}}
    api.put(kinds.CHECKPOINT_SCHEDULE, {**schedule, "spec": spec})
    agent.trouble["checkpoints"] = [AgentUnavailableError("no agent is ready")] * 3
    status = run(site, asked(api, "InPlace", source={"scheduleName": "often"}))
    assert outcome(status) == ("Complete", "Restored")


def test_blips_of_the_catalog_are_counted_as_attempts() -> None:
    site, api, agent = cluster()
    agent.trouble["find"] = [AbortedError("no majority")] * 5
    agent.trouble["members"] = [AbortedError("no majority")] * 5
    assert outcome(run(site, asked(api, "Recreate"))) == ("Complete", "Restored")


def test_group_that_is_busy_is_taken_for_one_that_can_not_be_restored() -> None:
    site, api, agent = cluster()
    for call in ("check_restore", "restore"):
        agent.trouble[call] = [AbortedError(f"group {GROUP} {BUSY}")] * 5
    assert outcome(run(site, asked(api, "InPlace"))) == ("Complete", "Restored")


def test_restore_that_is_always_aborted_is_asked_for_until_the_time_is_over() -> None:
    site, api, agent = cluster()
    agent.trouble["restore"] = [AbortedError("a member did not follow")] * 9
    status = run(site, asked(api, "InPlace"))
    assert outcome(status) == ("Failed", "Aborted")
    assert agent.calls.count("restore") == 3


@pytest.mark.parametrize("part", ["label", "ready"])
def test_what_changed_since_it_was_admitted_is_not_looked_at(part: str) -> None:
    site, api, agent = cluster()
    if part == "label":
        api.objects["Namespace", "", "demo"]["metadata"]["labels"] = {}
    else:
        ready = api.objects["Checkpoint", "demo", "hz-1"]["status"]["conditions"][0]
        ready |= {"status": "False", "reason": "ForeignGroup"}
    status = run(site, asked(api, "Recreate", timeoutSeconds=0))
    reason = "NamespaceNotEnabled" if part == "label" else "CheckpointNotReady"
    assert outcome(status) == ("Failed", reason)
    assert (replicas(api), agent.groups[GROUP].head) == (2, 42)


def test_checkpoint_that_was_mended_stays_damaged_for_ever() -> None:
    site, api, _ = cluster()
    checkpoint = api.objects["Checkpoint", "demo", "hz-1"]
    checkpoint["status"]["conditions"][0] |= {"status": "False", "reason": "Corrupt"}
    assert outcome(run(site, asked(api, "InPlace"))) == ("Complete", "Restored")
    assert condition(checkpoint, "Ready")["status"] == "True"


def test_container_that_is_no_member_keeps_a_program_from_coming_back() -> None:
    site, api, _ = cluster()
    live = stateful_set()
    containers = live["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "shipper", "image": "shipper:1"})
    api.objects["Checkpoint", "demo", "hz-1"]["spec"]["template"] = template_of(live)
    containers[1]["image"] = "shipper:2"
    api.put(kinds.STATEFUL_SET, live)
    assert outcome(run(site, asked(api, "Recreate"))) == ("Complete", "Restored")


def test_container_of_a_program_is_called_otherwise_now() -> None:
    site, api, _ = cluster()
    live = api.objects["StatefulSet", "demo", "hz"]
    live["spec"]["template"]["spec"]["containers"][0]["name"] = "renamed"
    assert outcome(run(site, asked(api, "Recreate"))) == ("Failed", "ImageChanged")


def test_workload_that_nothing_names_is_looked_for() -> None:
    site, api, _ = by_schedule()
    source = {"selector": {"matchLabels": {}}}
    schedule = api.objects["CheckpointSchedule", "demo", "often"]
    schedule["spec"]["template"]["spec"]["source"] = source
    status = run(site, asked(api, "Recreate", source={"scheduleName": "often"}))
    assert outcome(status) == ("Failed", "TemplateMissing")
    spec = {"source": {"scheduleName": "often"}, "strategy": "Recreate"}
    origin = Origin("demo", "x", GROUP, 41, {})
    with pytest.raises(Refused, match="name a target"):
        asyncio.run(examine(site.api, "demo", spec, origin, "mmsnap"))


def test_object_without_a_name_is_all_of_them() -> None:
    api = object.__new__(Api)  # it does not come to a connection
    for call in (api.get(kinds.POD, "", "demo"), api.delete(kinds.POD, "", "demo")):
        with pytest.raises(ValueError, match="without a name"):
            asyncio.run(call)
