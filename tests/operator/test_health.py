"""The fear: something is wrong and no condition says so, or none says what to do."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mmsnap_operator import charge, health
from mmsnap_operator.configuration import read
from mmsnap_operator.health import Condition, Observed
from mmsnap_operator.status import status_of

NODE = {"metadata": {"name": "node1"}}
STANDARD = {"metadata": {"name": "standard"}}
DEFAULT = {
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    }
}
WEBHOOK = {"webhooks": [{"clientConfig": {"caBundle": "eA=="}}]}


def pod(name: str, *, ready: bool = False, **status: Any) -> dict[str, Any]:
    told = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": "node1"},
        "status": {"conditions": told, **status},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"name": "c", "image": "localhost/mmsnap:none", "ready": False, "state": state}


def daemon_set(*, updated: int = 1, wanted: int = 1, observed: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"generation": 1},
        "status": {
            "observedGeneration": observed,
            "desiredNumberScheduled": wanted,
            "updatedNumberScheduled": updated,
        },
    }


def healthy(**changed: Any) -> Observed:
    seen: dict[str, Any] = {
        "nodes": [NODE],
        "daemon_set": daemon_set(),
        "agents": [pod("a", ready=True)],
        "etcd_pods": [pod(f"etcd-{n}", ready=True) for n in range(3)],
        "storage_classes": [DEFAULT],
        "pull_secret_found": True,
        "webhooks": [WEBHOOK],
    }
    return Observed(**(seen | changed))


def told(seen: Observed, **spec: Any) -> dict[str, Condition]:
    found = health.conditions(spec, read(spec, "memverge"), seen)
    assert len({one.type for one in found}) == len(found)
    return {one.type: one for one in found}


def test_all_is_well() -> None:
    found = told(healthy(), mvcontainerConfig={"SnapshotReplicas": 1})
    assert found["Ready"].holds
    assert [name for name, one in found.items() if not one.holds] == [
        "Progressing",
        "FieldsIgnored",
        "Conflict",
    ]


@pytest.mark.parametrize(
    ("changed", "condition", "reason", "words"),
    [
        ({"nodes": [], "agents": []}, "AgentsReady", "NoLabelledNode", "kubectl label node"),
        (
            {"nodes": [{"metadata": {"name": f"{'a' * 60}.example.net"}}]},
            "AgentsReady",
            "NodeNameUnusable",
            "aaaa.example.net",
        ),
        ({"daemon_set": None, "agents": []}, "AgentsReady", "WaitingForEtcd", "etcd"),
        (
            {"etcd_pods": [pod("etcd-0")], "storage_classes": [STANDARD]},
            "EtcdReady",
            "NoDefaultStorageClass",
            "standard",
        ),
        ({"etcd_pods": []}, "EtcdReady", "Starting", "0 of 3"),
        ({"webhooks": []}, "WebhookReady", "NotInstalled", "log"),
        ({"webhooks": [{"webhooks": [{"clientConfig": {}}]}]}, "WebhookReady", "NoCertificate", ""),
    ],
)
def test_what_is_missing_is_said(
    changed: dict[str, Any], condition: str, reason: str, words: str
) -> None:
    found = told(healthy(**changed))
    assert found[condition].holds is False
    assert found[condition].reason == reason
    assert words in found[condition].message
    assert found["Ready"].holds is False
    assert found["Ready"].reason == reason


def test_catalog_of_more_members_is_waited_for_without_a_word() -> None:
    claims = [{"status": {"phase": "Bound"}}] * 5
    found = told(healthy(etcd_pods=[pod("etcd-0")], claims=claims))["EtcdReady"]
    assert found.reason == "TooFewMembers"
    assert "etcdConfig.replicas: 5" in found.message
    assert told(healthy(claims=claims))["EtcdReady"].holds  # a majority of three may do


def test_storage_class_that_is_not_there_is_named() -> None:
    seen = healthy(etcd_pods=[pod("etcd-0")], storage_classes=[STANDARD])
    found = told(seen, etcdConfig={"storageClass": "fast"})["EtcdReady"]
    assert found.reason == "StorageClassMissing"
    assert "fast" in found.message
    assert "standard" in found.message


def test_image_that_can_not_be_pulled_is_named_with_the_secret_that_is_missing() -> None:
    waiting = container(waiting={"reason": "ImagePullBackOff", "message": "no such host"})
    seen = healthy(agents=[pod("a", initContainerStatuses=[waiting])], pull_secret_found=False)
    found = told(seen)["AgentsReady"]
    assert found.reason == "ImageNotPulled"
    for words in ("localhost/mmsnap:none", "no such host", "node1", "memverge-dockerconfig"):
        assert words in found.message


def test_report_of_the_check_becomes_reason_and_words() -> None:
    report = '{"reason": "NodeNotPrepared", "message": "there is no pool"}'
    ended = {"exitCode": 1, "message": report}
    waiting = container(waiting={"reason": "CrashLoopBackOff"})
    seen = healthy(
        agents=[pod("a", initContainerStatuses=[{**waiting, "lastState": {"terminated": ended}}])]
    )
    found = told(seen)["AgentsReady"]
    assert found.reason == "NodeNotPrepared"
    assert "node1: there is no pool" in found.message


@pytest.mark.parametrize(
    "message", ["Traceback\nValueError: x", "[1]", '"text"', "{}", "", '{"message": null}']
)
def test_last_words_of_any_form_are_shown(message: str) -> None:
    ended = container(terminated={"exitCode": 3, "message": message})
    found = told(healthy(agents=[pod("a", containerStatuses=[ended])]))["AgentsReady"]
    assert found.holds is False
    assert "node1" in found.message


def test_same_trouble_on_many_nodes_is_said_once() -> None:
    ended = container(terminated={"exitCode": 1, "message": "no pool"})
    pods = [pod(f"a{n}", containerStatuses=[ended]) for n in range(50)]
    message = told(healthy(agents=pods))["AgentsReady"].message
    assert message.count("no pool") == 1


def test_rollout_is_progress_and_agents_that_serve_are_still_ready() -> None:
    seen = healthy(daemon_set=daemon_set(observed=0))
    found = told(seen)
    assert found["Progressing"].holds
    assert found["AgentsReady"].holds


def test_copies_that_can_not_be_made_are_said_and_not_lowered() -> None:
    found = told(healthy())["ReplicasPossible"]
    assert found.holds is False
    assert "2 copies" in found.message
    assert told(healthy(nodes=[NODE, NODE]))["ReplicasPossible"].holds


def test_majority_of_etcd_is_enough() -> None:
    two = [pod("etcd-0", ready=True), pod("etcd-1", ready=True), pod("etcd-2")]
    assert told(healthy(etcd_pods=two))["EtcdReady"].holds
    assert not told(healthy(etcd_pods=two[1:]))["EtcdReady"].holds


def test_values_are_in_force_only_when_agents_have_them() -> None:
    spec = {"mmVersion": "2"}
    rolling = healthy(daemon_set=daemon_set(observed=0))
    assert "mmVersion" not in status_of(read(spec, "memverge"), rolling, {})
    after = status_of(read(spec, "memverge"), healthy(), {})
    assert after["mmVersion"] == "2"
    assert after["mvmallocConfig"]["commPort"] == 5678


def test_value_that_is_no_longer_set_leaves_the_status() -> None:
    before = {"status": {"daemonConfig": {"pmem": "/dev/pmem0"}}}
    after = status_of(read({}, "memverge"), healthy(), before)
    assert after["daemonConfig"]["pmem"] is None


def test_time_of_a_condition_stays_while_it_stays() -> None:
    first, second = (datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2))
    before = health.merged(
        [], [Condition("Ready", True, "A"), Condition("Other", None, "B")], 1, first
    )
    after = health.merged(
        before, [Condition("Ready", True, "C"), Condition("Other", False, "B")], 2, second
    )
    assert [one["lastTransitionTime"][:10] for one in after] == ["2026-01-01", "2026-01-02"]
    assert after[0]["reason"] == "C"


def machine(name: str, created: str, namespace: str = "memverge") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": created}}


def test_the_oldest_is_in_charge_whatever_the_order() -> None:
    old, new = machine("b", "2026-01-01T00:00:00Z"), machine("a", "2026-01-02T00:00:00Z")
    foreign = machine("c", "2025-01-01T00:00:00Z", "other")
    for order in ([old, new, foreign], [foreign, new, old]):
        assert charge.in_charge(order, "memverge") is old


def test_one_of_two_made_in_the_same_second_is_in_charge() -> None:
    pair = [machine("b", "2026-01-01T00:00:00Z"), machine("a", "2026-01-01T00:00:00Z")]
    assert charge.in_charge(pair, "memverge") is charge.in_charge(pair[::-1], "memverge")
