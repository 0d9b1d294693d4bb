"""The fear: a restore that can not be is tried, one that can be is not, or pods are miscounted."""

from __future__ import annotations

import asyncio

import pytest

from mmsnap.errors import AbortedError, AgentUnavailableError, BusyError
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.requests.ending import condition
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.origin import Origin
from mmsnap_operator.restores.patience import refusal
from mmsnap_operator.restores.preflight import examine
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import template_of
from tests.operator.request_samples import stateful_set
from tests.operator.restore_site import GROUP, FakeAgent, FakeApi, cluster
from tests.operator.restoring import asked, memory, outcome, replicas, run

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
        agent.trouble[call] = [BusyError(f"group {GROUP} is busy")] * 5
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
    source: dict[str, object] = {"selector": {"matchLabels": {}}}
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


def test_checkpoint_that_was_found_damaged_is_never_read_again() -> None:
    site, api, _ = cluster()
    checkpoint = api.objects["Checkpoint", "demo", "hz-1"]
    checkpoint["status"]["conditions"][0] |= {"status": "False", "reason": "Corrupt"}
    spec = {"source": {"checkpointName": "hz-1"}, "strategy": "Recreate"}
    origin = Origin("demo", "hz-1", GROUP, 41, checkpoint)
    found = asyncio.run(examine(site.api, "demo", spec, origin, "mmsnap"))
    assert [(one.reason, one.refuses) for one in found] == [("Corrupt", False)]


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (ApiError(403, "forbidden"), True),
        (ApiError(422, "not valid"), True),
        (ApiError(404, "not yet there"), False),
        (ApiError(409, "changed meanwhile"), False),
        (ApiError(429, "too many"), False),
        (ApiError(503, "away"), False),
        (TimeoutError(), False),
    ],
)
def test_answer_that_passes_is_taken_for_the_last_word(error: Exception, lasting: bool) -> None:
    assert refusal(error).lasting is lasting
