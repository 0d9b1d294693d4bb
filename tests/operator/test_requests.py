"""The fear: a request is taken for done that is not, or for another one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mmsnap_operator.checkpoints.keeping import reader_of
from mmsnap_operator.checkpoints.naming import catalog_name, object_name
from mmsnap_operator.checkpoints.ownership import is_own
from mmsnap_operator.checkpoints.record import checkpoint_object, conditions_of, size_text
from mmsnap_operator.checkpoints.wishes import (
    attached,
    replicas_of,
    require_possible,
    shortfall,
)
from mmsnap_operator.requests.ending import deadline, instant, is_expired, is_finished
from mmsnap_operator.requests.turns import goes_first
from mmsnap_operator.workloads.pods import Owner, members_of
from mmsnap_operator.workloads.refusals import Refused
from tests.operator.request_samples import captured_pod, member, request, taken


def refusal(spec: dict[str, Any], pod: dict[str, Any]) -> str:
    try:
        require_possible(request(**spec)["spec"], members_of(pod))
    except Refused as refused:
        return refused.reason if refused.lasting else "for the time being"
    return ""


@pytest.mark.parametrize(
    ("spec", "pod", "reason"),
    [
        ({}, {}, ""),
        ({"engine": "process"}, {}, ""),
        ({"engine": "memory"}, {}, "EngineMismatch"),
        ({"engine": "kubelet"}, {}, "EngineUnavailable"),
        ({"profile": "hazelcast"}, {}, "ProfileMissing"),
        ({"profile": "hazelcast"}, {"profile": "redis"}, "ProfileMissing"),
        ({"profile": "hazelcast"}, {"profile": "hazelcast"}, ""),
        ({"profile": "hazelcast"}, {"engine": "memory"}, ""),
        ({"consistency": "Application"}, {}, "ConsistencyUnmet"),
        ({"consistency": "Application"}, {"profile": "hazelcast"}, ""),
        ({"consistency": "Application"}, {"engine": "memory"}, ""),
    ],
)
def test_members_are_frozen_for_what_they_can_not_give(
    spec: dict[str, Any], pod: dict[str, str], reason: str
) -> None:
    assert refusal(spec, captured_pod(**pod)) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "checkpoint", "reason"),
    [
        ({}, {"consistency": "crash"}, None),
        ({"consistency": "Application"}, {}, None),
        ({"consistency": "Application"}, {"consistency": "crash"}, "ConsistencyUnmet"),
        ({"durability": "Replicated"}, {}, "DurabilityUnmet"),
        ({"durability": "Durable"}, {}, "DurabilityUnmet"),
        ({"durability": "Durable"}, {"durability": "replicated"}, None),
        ({"durability": "Replicated"}, {"durability": "replicated"}, None),
    ],
)
def test_less_than_was_asked_for_is_enough(
    spec: dict[str, Any], checkpoint: dict[str, Any], reason: str | None
) -> None:
    found = shortfall(request(**spec)["spec"], taken(**checkpoint))
    assert (found.reason if found else None) == reason


def test_replicas_are_forgotten_where_only_the_durability_asks_for_one() -> None:
    assert replicas_of(request()["spec"]) == 0
    assert replicas_of(request(durability="Replicated")["spec"]) == 1
    assert replicas_of(request(durability="Replicated", replicas=2)["spec"]) == 2


def test_member_that_its_agent_does_not_know_is_left_out() -> None:
    pods = members_of(captured_pod())
    (found,) = attached(pods, [member("hz-0"), member("other")])
    assert found.engine == "memory"  # as the agents know it
    for known in ([], [member("hz-0", "lost")]):
        with pytest.raises(Refused) as refused:
            attached(pods, known)
        assert not refused.value.lasting


def test_two_requests_have_one_name_or_one_request_two() -> None:
    name = catalog_name(request())
    assert name == catalog_name(request())
    assert name.startswith("20261123-101502-")
    assert name != catalog_name(request(uid="another"))
    assert object_name("hz", name) == f"hz-{name}"
    long = [object_name("a" * 240 + last, name) for last in "xy"]
    assert long[0] != long[1]
    assert all(len(one) <= 253 and one.endswith(name) for one in long)


def ended(kind: str, **status: Any) -> dict[str, Any]:
    return {**request(), "status": {"conditions": [{"type": kind, "status": "True"}], **status}}


def test_request_that_is_over_is_run_again_or_one_under_way_is_not() -> None:
    assert not is_finished(request())
    waiting = {"conditions": [{"type": "Complete", "status": "False"}]}
    assert not is_finished({**request(), "status": waiting})
    assert is_finished(ended("Complete"))
    assert is_finished(ended("Failed"))


def test_request_is_deleted_before_its_time_or_never() -> None:
    at = instant("2026-11-23T10:20:00Z")
    over = ended("Complete", completionTime="2026-11-23T10:20:00Z")
    assert not is_expired(over, at + timedelta(days=1))
    over["spec"]["ttlSecondsAfterFinished"] = 60
    assert not is_expired(over, at + timedelta(seconds=59))
    assert is_expired(over, at + timedelta(seconds=60))
    assert not is_expired({**over, "status": {}}, at + timedelta(days=1))


def test_time_begins_anew_when_the_operator_does() -> None:
    assert deadline(request()) is None
    begun = {**request(), "status": {"startTime": "2026-11-23T10:15:03Z"}}
    assert deadline(begun) == instant("2026-11-23T10:16:03Z")


def begun(uid: str, group: str, at: str) -> dict[str, Any]:
    return {**request(uid=uid), "status": {"group": group, "startTime": at}}


def test_request_overtakes_one_that_had_begun() -> None:
    mine = request(uid="mine")
    half_done = begun("other", "demo--hz", "2026-11-23T10:15:03Z")
    assert goes_first([mine, half_done], "demo--hz", mine) == half_done
    assert goes_first([mine, half_done], "demo--other", mine) is None
    assert goes_first([half_done], "demo--hz", half_done) is None
    over = {**half_done, "status": {**half_done["status"], **ended("Failed")["status"]}}
    assert goes_first([over], "demo--hz", mine) is None
    later = begun("mine", "demo--hz", "2026-11-23T10:15:04Z")
    assert goes_first([later, half_done], "demo--hz", later) == half_done
    assert goes_first([later, half_done], "demo--hz", half_done) is None


def test_checkpoint_of_another_namespace_is_taken_for_ones_own() -> None:
    made = checkpoint_object(None, "demo", Owner("StatefulSet", "hz"), taken(), "Delete")
    assert is_own(made)
    foreign = {**made, "metadata": {**made["metadata"], "namespace": "evil"}}
    assert not is_own(foreign)
    bare = {**made, "spec": {"group": "demo--hz", "epoch": 41}}
    assert not is_own(bare)


def test_checkpoint_is_deleted_while_a_restore_reads_it() -> None:
    made = checkpoint_object(None, "demo", Owner("StatefulSet", "hz"), taken(), "Retain")
    status = {"sourceGroup": "demo--hz", "epoch": 41, "group": "demo--copy"}
    reading = {**request("RestoreRequest"), "status": status}
    assert reader_of(made, [reading]) == reading
    assert reader_of(made, [{**reading, "status": {**status, "epoch": 40}}]) is None
    over = {**reading, "status": {**status, **ended("Complete")["status"]}}
    assert reader_of(made, [over]) is None


def test_conditions_promise_more_than_there_is() -> None:
    def said(**changed: Any) -> dict[str, bool | None]:
        return {one.type: one.holds for one in conditions_of(taken(**changed))}

    assert said() == {"Ready": True, "Consistent": True, "Durable": False}
    assert said(consistency="crash", durability="replicated") == {
        "Ready": True,
        "Consistent": False,
        "Durable": True,
    }


def test_sizes_are_for_people() -> None:
    assert [size_text(n) for n in (0, 1023, 1536, 2 << 30)] == ["0", "1023", "1.5Ki", "2.0Gi"]
