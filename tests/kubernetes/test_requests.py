"""Workloads checkpointed and restored by kubectl alone, on a real cluster."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.operator_site import NAMESPACE
from tests.kubernetes.requests_site import RequestsSite, requests_site

pytestmark = pytest.mark.timeout(600)

# Why a request may fail when what it needs ends in the middle of it.
_NOT_ANSWERED = (
    "AgentUnavailable",
    "Aborted",
    "ApiServer",
    "DeadlineExceeded",
    "MembersNotAttached",
)


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[RequestsSite]:
    with requests_site(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def aware(site: RequestsSite) -> Iterator[str]:
    """A namespace with the set `sdk`, of programs that know mmsnap."""
    yield from _namespace(site, "aware", is_aware=True)


@pytest.fixture(scope="module")
def unaware(site: RequestsSite) -> Iterator[str]:
    """A namespace with the set `plain`, of programs that know nothing."""
    yield from _namespace(site, "unaware", is_aware=False)


def _namespace(site: RequestsSite, name: str, *, is_aware: bool) -> Iterator[str]:
    site.namespace(name)
    site.stateful_set(name, "sdk" if is_aware else "plain", aware=is_aware)
    yield name
    # The fear: a finalizer of ours that nobody takes away.
    site.cluster.kubectl("delete", "namespace", name, "--timeout=150s", seconds=180)


def test_checkpoint_says_what_it_is_and_members_go_back_in_place(
    site: RequestsSite, aware: str
) -> None:
    made = site.request(
        "CheckpointRequest",
        aware,
        source={"kind": "StatefulSet", "name": "sdk"},
        consistency="Application",
        maxPauseMilliseconds=5000,
    )
    site.cluster.wait_for(f"checkpointrequest/{made}", "condition=Complete", namespace=aware)
    name = site.cluster.get("checkpointrequest", made, "-n", aware)["status"]["checkpointName"]
    site.cluster.wait_for(f"checkpoint/{name}", "condition=Ready", namespace=aware)
    site.cluster.wait_for(f"checkpoint/{name}", "condition=Consistent", namespace=aware)
    found = site.cluster.get("checkpoint", name, "-n", aware)
    assert found["spec"]["template"]["spec"]["replicas"] == 2
    members = found["status"]["members"]
    assert [row["pod"] for row in members] == ["sdk-0", "sdk-1"]
    assert all(row["imageID"] and row["node"] and row["bytes"] for row in members)
    head, row = site.cluster.kubectl("get", "checkpoint", name, "-n", aware).splitlines()
    assert " ".join(head.split()) == "NAME READY REASON MEMBERS CONSISTENCY PAUSE SIZE AGE"
    assert row.split()[1:5] == ["True", "Committed", "2", "Application"]

    before = site.pods(aware, "sdk")
    seen = site.last(aware, "sdk-0")
    eventually(lambda: site.last(aware, "sdk-0") > seen + 50, "it to run on")
    later = site.last(aware, "sdk-0")
    assert site.restore(aware, name, "InPlace") == "Restored"
    eventually(lambda: site.last(aware, "sdk-0") < later, "it to go back")
    assert site.pods(aware, "sdk") == before
    assert site.restarts(aware, "sdk-0") == 0


def test_programs_go_back_in_place_and_into_new_pods_without_their_set(
    site: RequestsSite, unaware: str
) -> None:
    name = site.checkpoint(unaware, "plain")
    seen = site.last(unaware, "plain-1")
    eventually(lambda: site.last(unaware, "plain-1") > seen + 30, "it to run on")
    later = site.last(unaware, "plain-1")
    before = site.pods(unaware, "plain")
    assert site.restore(unaware, name, "InPlace") == "Restored"
    eventually(lambda: site.last(unaware, "plain-1") < later, "it to go back")
    assert site.pods(unaware, "plain") == before

    words = ("delete", "statefulset", "plain", "-n", unaware, "--wait=true")
    site.cluster.kubectl(*words, seconds=120)
    assert site.restore(unaware, name, "Recreate", timeoutSeconds=150) == "Restored"
    after = site.pods(unaware, "plain")
    assert after.keys() == before.keys()
    assert set(after.values()).isdisjoint(before.values())
    for pod in after:
        eventually(lambda pod=pod: site.last(unaware, pod) >= seen - 10, f"{pod} to go on")  # type: ignore[misc]
        assert "began" not in site.cluster.logs(pod, "-c", "main", namespace=unaware)


def test_members_are_recreated_from_a_set_that_is_still_there(
    site: RequestsSite, aware: str
) -> None:
    name = site.checkpoint(aware, "sdk")
    before = site.pods(aware, "sdk")
    assert site.restore(aware, name, "Recreate", timeoutSeconds=150) == "Restored"
    after = site.pods(aware, "sdk")
    assert after.keys() == before.keys()
    assert set(after.values()).isdisjoint(before.values())
    began = site.cluster.logs("sdk-1", "-c", "main", namespace=aware).splitlines()[0]
    assert int(began.removeprefix("began ")) > 0


def test_clone_in_another_namespace_needs_leave_and_runs_beside_the_first(
    site: RequestsSite, unaware: str
) -> None:
    name = site.checkpoint(unaware, "plain")
    site.namespace("staging")
    spec = {
        "source": {"namespace": unaware, "checkpointName": name},
        "strategy": "Clone",
        "target": {"kind": "StatefulSet", "name": "copy"},
        "timeoutSeconds": 150,
    }
    with pytest.raises(subprocess.CalledProcessError, match="allowedNamespaces"):
        site.request("RestoreRequest", "staging", **spec)
    patch = '{"spec": {"allowedNamespaces": ["staging"]}}'
    site.cluster.kubectl("patch", "checkpoint", name, "-n", unaware, "--type=merge", "-p", patch)
    made = site.request("RestoreRequest", "staging", **spec)
    status = site.ends("restorerequest", "staging", made, 200)
    assert status["conditions"][0]["reason"] == "Restored", status
    for pod in ("copy-0", "copy-1"):
        assert "began" not in site.cluster.logs(pod, "-c", "main", namespace="staging")
    seen = site.last(unaware, "plain-0")
    eventually(lambda: site.last(unaware, "plain-0") > seen, "the first one to run on")
    assert len(site.pods(unaware, "plain")) == 2
    site.cluster.kubectl("delete", "namespace", "staging", "--timeout=120s", seconds=150)


def test_operator_that_dies_takes_a_second_checkpoint(site: RequestsSite, aware: str) -> None:
    with site.held(aware, "sdk-0"):
        made = site.request(
            "CheckpointRequest", aware, source={"selector": {"matchLabels": {"app": "sdk"}}}
        )
        # An agent was asked, and nobody hears its answer.
        site.await_said("checkpointrequest", aware, made, "Taking")
        label = "app.kubernetes.io/name=memory-machine-operator"
        words = ("delete", "pod", "-n", NAMESPACE, "-l", label, "--force", "--grace-period=0")
        site.cluster.kubectl(*words)
    status = site.ends("checkpointrequest", aware, made, 150)
    assert status["conditions"][0]["reason"] == "Committed", status
    uid = site.cluster.get("checkpointrequest", made, "-n", aware)["metadata"]["uid"]
    told = site.mmsnap("checkpoint", "list", f"{aware}--sdk", "-o", "json")
    assert told.count(uid) == 1
    # Until its successor is asked about requests, nobody makes one.
    eventually(lambda: bool(site.checkpoint(aware, "sdk")), "a retry", 120)


def test_two_requests_at_once_are_mixed(site: RequestsSite, aware: str) -> None:
    name = site.checkpoint(aware, "sdk")
    source = {"kind": "StatefulSet", "name": "sdk"}
    with site.held(aware, "sdk-0"):
        first = site.request("CheckpointRequest", aware, source=source)
        site.await_said("checkpointrequest", aware, first, "Taking")
        second = site.request("CheckpointRequest", aware, source=source)
        restoring = site.request(
            "RestoreRequest", aware, source={"checkpointName": name}, strategy="InPlace"
        )
        site.await_said("checkpointrequest", aware, second, "Waiting")
        site.await_said("restorerequest", aware, restoring, "Waiting")
        assert site.said("checkpointrequest", aware, first) == "Taking"
    taking = [first, second]
    names = {site.ends("checkpointrequest", aware, one)["checkpointName"] for one in taking}
    assert len(names) == 2
    status = site.ends("restorerequest", aware, restoring)
    assert status["conditions"][0]["reason"] == "Restored"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"consistency": "Application"}, "ConsistencyUnmet"),
        ({"engine": "memory"}, "EngineMismatch"),
        ({"profile": "hazelcast"}, "ProfileMissing"),
        ({"durability": "Durable"}, "Unsupported"),
        ({"maxPauseMilliseconds": 1}, "PauseExceeded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_less_than_was_asked_for_is_taken_for_success(
    site: RequestsSite, unaware: str, spec: dict[str, object], reason: str
) -> None:
    spec = {"source": {"kind": "StatefulSet", "name": "plain"}, **spec}
    made = site.request("CheckpointRequest", unaware, timeoutSeconds=20, **spec)
    status = site.ends("checkpointrequest", unaware, made, 60)
    told = {one["type"]: one for one in status["conditions"]}
    assert told["Failed"]["status"] == "True"
    assert told["Failed"]["reason"] == reason, told["Failed"]
    seen = site.last(unaware, "plain-0")
    eventually(lambda: site.last(unaware, "plain-0") > seen, "that no pod stands still")


def test_checkpoint_goes_with_its_bytes_or_without(site: RequestsSite, aware: str) -> None:
    kept = site.checkpoint(aware, "sdk")
    gone = site.checkpoint(aware, "sdk", deletionPolicy="Delete", ttlSecondsAfterFinished=1)
    lost = site.checkpoint(aware, "sdk")
    site.checkpoint(aware, "sdk")
    group = f"{aware}--sdk"
    for name in (kept, gone):
        site.cluster.kubectl("delete", "checkpoint", name, "-n", aware, "--timeout=60s")
    told = site.mmsnap("checkpoint", "list", group, "-o", "json")
    assert kept.removeprefix("sdk-") in told
    assert gone.removeprefix("sdk-") not in told

    patch = '{"spec": {"pinned": true}}'
    site.cluster.kubectl("patch", "checkpoint", lost, "-n", aware, "--type=merge", "-p", patch)
    short = lost.removeprefix("sdk-")
    eventually(
        lambda: '"pinned": true' in site.mmsnap("checkpoint", "show", group, short, "-o", "json"),
        "that it is pinned",
        40,
    )
    site.mmsnap("checkpoint", "unpin", group, short)
    site.mmsnap("checkpoint", "delete", group, short, "--yes")
    site.cluster.wait_for(f"checkpoint/{lost}", "condition=Ready=false", namespace=aware)
    with pytest.raises(subprocess.CalledProcessError, match="CheckpointNotReady"):
        site.restore(aware, lost, "InPlace")

    def requests() -> int:
        return len(site.cluster.get("checkpointrequest", "-n", aware)["items"])

    before = requests()
    eventually(lambda: requests() <= before, "that the request with a time to live is gone", 40)


def test_request_that_is_deleted_leaves_something_half(site: RequestsSite, unaware: str) -> None:
    source = {"kind": "StatefulSet", "name": "plain"}
    before = len(site.cluster.get("checkpoint", "-n", unaware)["items"])
    made = site.request("CheckpointRequest", unaware, source=source)
    site.await_begun("checkpointrequest", unaware, made)
    words = ("delete", "checkpointrequest", made, "-n", unaware, "--timeout=60s")
    site.cluster.kubectl(*words, seconds=70)
    seen = site.last(unaware, "plain-0")
    eventually(lambda: site.last(unaware, "plain-0") > seen, "that no pod stands still")
    told = site.mmsnap("checkpoint", "list", f"{unaware}--plain", "-o", "json")
    taken = told.count("mm.memverge.com/request")
    assert len(site.cluster.get("checkpoint", "-n", unaware)["items"]) == taken
    assert taken in (before, before + 1)
    site.checkpoint(unaware, "plain")


def test_pod_that_never_comes_holds_the_request_up_for_ever(
    site: RequestsSite, unaware: str
) -> None:
    """It is named, the others wait, and when it comes at last all go on together."""
    name = site.checkpoint(unaware, "plain")
    node = site.cluster.node.name
    site.cluster.kubectl("cordon", node)
    try:
        made = site.request(
            "RestoreRequest",
            unaware,
            source={"checkpointName": name},
            strategy="Recreate",
            timeoutSeconds=20,
        )
        status = site.ends("restorerequest", unaware, made, 90)
    finally:
        site.cluster.kubectl("uncordon", node)
    failed = next(one for one in status["conditions"] if one["type"] == "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "AwaitingMembers")
    assert status["awaited"] == ["plain-0", "plain-1"]
    site.await_members(unaware, "plain")
    assert "began" not in site.cluster.logs("plain-0", "-c", "main", namespace=unaware)


@pytest.mark.parametrize("part", ["agent", "apiserver", "etcd", "kubelet"])
def test_request_hangs_when_something_dies(site: RequestsSite, unaware: str, part: str) -> None:
    """It ends well or says who did not answer, no pod stands still, and a retry works."""
    source = {"kind": "StatefulSet", "name": "plain"}
    made = site.request("CheckpointRequest", unaware, source=source)
    site.await_begun("checkpointrequest", unaware, made)
    if part == "agent":
        label = "app.kubernetes.io/component=agent"
        words = ("delete", "pod", "-n", NAMESPACE, "-l", label, "--force", "--grace-period=0")
        site.cluster.kubectl(*words)
    else:
        site.cluster.restart(part)
    status = site.ends("checkpointrequest", unaware, made, 120)
    told = {one["type"]: one for one in status["conditions"]}
    if told["Complete"]["status"] == "True":
        found = site.cluster.get("checkpoint", status["checkpointName"], "-n", unaware)
        assert [row["member"] for row in found["status"]["members"]] == ["plain-0", "plain-1"]
    else:
        assert told["Failed"]["status"] == "True", told
        assert told["Failed"]["reason"] in _NOT_ANSWERED, told
    site.operator.await_agents()
    for pod in ("plain-0", "plain-1"):
        # A kubelet that was restarted gives no logs at first.
        eventually(lambda pod=pod: _runs_on(site, unaware, pod), f"{pod} to run on")  # type: ignore[misc]
    eventually(lambda: bool(site.checkpoint(unaware, "plain")), "a retry", 60)


def _runs_on(site: RequestsSite, namespace: str, pod: str) -> bool:
    seen = site.last(namespace, pod)
    time.sleep(0.5)
    return site.last(namespace, pod) > seen
