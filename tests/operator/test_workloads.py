"""The fear: the wrong pods are taken for a workload's, or it is made anew as another one."""

from __future__ import annotations

from typing import Any

import pytest

from mmsnap_operator.restores.checks import (
    renamed,
    require_images,
    require_same_images,
    require_same_place,
    require_whole,
)
from mmsnap_operator.restores.moving import Move
from mmsnap_operator.restores.origin import Origin, newest, require_allowed
from mmsnap_operator.restores.sets import unready
from mmsnap_operator.service.places import addresses_of
from mmsnap_operator.webhook.identity import identity_of
from mmsnap_operator.workloads.pods import Owner, members_of, owner_of, pod_group
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.selectors import matches
from mmsnap_operator.workloads.source import Source, require_members, selected_owner
from mmsnap_operator.workloads.template import cloned, require_recreatable, template_of
from tests.operator.request_samples import captured_pod, request, stateful_set, taken


def origin(**changed: Any) -> Origin:
    rows = [
        {"member": f"hz-{n}", "pod": f"hz-{n}", "container": "main", "engine": "process",
         "imageID": "sha256:1"}
        for n in range(2)
    ]  # fmt: skip
    checkpoint = {
        "spec": {"template": template_of(stateful_set()), "allowedNamespaces": ["staging"]},
        "status": {"members": rows},
    }
    values: dict[str, Any] = {
        "namespace": "demo",
        "name": "hz-1",
        "group": "demo--hz",
        "epoch": 41,
        "checkpoint": checkpoint,
    }
    return Origin(**{**values, **changed})


def reason(call: Any, *arguments: Any) -> str:
    with pytest.raises(Refused) as refused:
        call(*arguments)
    return refused.value.reason


def test_pod_is_of_the_set_in_between() -> None:
    labels = {"pod-template-hash": "5d8f"}
    pod = captured_pod("web-5d8f-x", owner=("ReplicaSet", "web-5d8f"), **labels)
    assert owner_of(pod) == Owner("Deployment", "web")
    assert pod_group(pod) == "demo--web"
    assert owner_of(captured_pod(owner=("ReplicaSet", "web"))) == Owner("ReplicaSet", "web")
    assert owner_of(captured_pod("alone", owner=None)) == Owner("Pod", "alone")


_HASH = {"pod-template-hash": "5d8f"}


@pytest.mark.parametrize(
    "pod",
    [
        captured_pod(),
        captured_pod("alone", owner=None),
        captured_pod(
            "web-5d8f-x", owner=("ReplicaSet", "web-5d8f"), **{"pod-template-hash": "5d8f"}
        ),
        captured_pod("web-x", owner=("ReplicaSet", "web"), **_HASH),
        captured_pod("5d8f-x", owner=("ReplicaSet", "-5d8f"), **_HASH),
    ],
)
def test_operator_cuts_another_group_than_the_webhook_put_the_pods_in(pod: dict[str, Any]) -> None:
    """The pod had no name yet when the webhook saw it, unless nobody owns it."""
    seen = dict(pod["metadata"])
    if seen.get("ownerReferences"):
        seen["generateName"] = f"{seen.pop('name')}-"
    identity = identity_of({**pod, "metadata": seen}, "demo", ["main"])
    assert identity.group == pod_group(pod)


def test_second_container_is_called_like_the_first() -> None:
    names = [one.name for one in members_of(captured_pod(containers="main,log"))]
    assert names == ["hz-0", "hz-0--log"]
    assert members_of({**captured_pod(), "spec": {"containers": [{"name": "main"}]}}) == ()


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ({}, True),
        ({"matchLabels": {"app": "hz"}}, True),
        ({"matchLabels": {"app": "other"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["hz"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["hz"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selector_means_something_else_than_to_the_api_server(
    selector: dict[str, Any], holds: bool
) -> None:
    assert matches(selector, {"app": "hz"}) is holds


def test_selector_of_two_workloads_makes_a_mixed_checkpoint() -> None:
    pods = [captured_pod("hz-0", app="x"), captured_pod("db-0", owner=("StatefulSet", "db"))]
    assert selected_owner(pods, {"matchLabels": {"app": "x"}}) == Owner("StatefulSet", "hz")
    assert reason(selected_owner, pods, {}) == "SeveralWorkloads"
    assert reason(selected_owner, pods, {"matchLabels": {"app": "y"}}) == "NoPods"
    going = captured_pod("hz-0", app="x")
    going["metadata"]["deletionTimestamp"] = "2026-11-23T10:15:02Z"
    assert reason(selected_owner, [going], {}) == "NoPods"


def test_pods_that_are_not_all_there_are_checkpointed() -> None:
    def of(*pods: dict[str, Any]) -> Source:
        return Source("demo", Owner("StatefulSet", "hz"), stateful_set(), pods)

    require_members(of(captured_pod("hz-0"), captured_pod("hz-1")))
    assert reason(require_members, of()) == "NoPods"
    assert reason(require_members, of(captured_pod("hz-0"))) == "PodsMissing"
    bare = captured_pod("hz-0")
    bare["spec"]["volumes"] = []
    assert reason(require_members, of(bare, captured_pod("hz-1"))) == "NotInjected"
    stopped = captured_pod("hz-0")
    stopped["status"]["containerStatuses"][0]["state"] = {"waiting": {}}
    assert reason(require_members, of(stopped, captured_pod("hz-1"))) == "PodsNotRunning"


def test_set_that_starts_one_after_the_other_waits_for_ever() -> None:
    """hz-1 is not created before hz-0 is ready, and hz-0 waits for its group."""
    assert reason(require_recreatable, template_of(stateful_set(podManagementPolicy="x"))) == (
        "OrderedReady"
    )
    assert reason(require_recreatable, None) == "TemplateMissing"
    assert reason(require_recreatable, {"kind": "StatefulSet", "name": "hz"}) == "TemplateMissing"
    deployment = {**template_of(stateful_set()), "kind": "Deployment"}
    assert reason(require_recreatable, deployment) == "WorkloadUnsupported"


def test_clone_takes_the_pods_of_the_first_one() -> None:
    template = require_recreatable(template_of(stateful_set()))
    assert template["annotations"] == {"mine": "yes"}
    made = cloned(template, "staging", "copy")
    selector = made["spec"]["selector"]["matchLabels"]
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert selector == labels == {"app": "hz", "memory-machine.memverge.com/clone": "copy"}
    first = stateful_set()["spec"]["template"]["metadata"]["labels"]
    assert not matches({"matchLabels": selector}, first)
    assert made["metadata"]["namespace"] == "staging"
    assert template["spec"]["selector"] == {"matchLabels": {"app": "hz"}}


def test_members_of_a_clone_are_called_like_those_of_the_first() -> None:
    names = renamed(origin(), taken(), "hz", "copy")
    assert names == {"hz-0": "copy-0", "hz-1": "copy-1"}
    assert reason(renamed, origin(), taken(), "db", "copy") == "MembersUnknown"


def test_program_is_put_into_an_image_that_it_never_ran() -> None:
    require_images(origin(), members_of(captured_pod()))
    changed = members_of(captured_pod(image_id="sha256:2"))
    assert reason(require_images, origin(), changed) == "ImageChanged"
    new = stateful_set()
    require_same_images(origin(), new)
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "hz:6"
    assert reason(require_same_images, origin(), new) == "ImageChanged"


def test_pod_that_is_gone_is_restored_in_place() -> None:
    pods = [one for n in range(2) for one in members_of(captured_pod(f"hz-{n}"))]
    require_whole(origin(), pods)
    assert reason(require_whole, origin(), pods[:1]) == "MembersMissing"


def test_namespace_reads_another_one_without_leave() -> None:
    require_allowed(origin(), "demo")
    require_allowed(origin(), "staging")
    assert reason(require_allowed, origin(), "evil") == "NotAllowed"
    assert reason(require_allowed, origin(checkpoint={}), "staging") == "NotAllowed"


def test_restore_is_of_another_workload() -> None:
    def place(strategy: str, namespace: str = "demo", **spec: Any) -> Any:
        made = request("RestoreRequest", strategy=strategy, **spec)
        made["metadata"]["namespace"] = namespace
        return made

    require_same_place(place("InPlace"), origin())
    require_same_place(place("Recreate", target={"kind": "StatefulSet", "name": "hz"}), origin())
    other = {"kind": "StatefulSet", "name": "db"}
    assert reason(require_same_place, place("InPlace", target=other), origin()) == "TargetMismatch"
    assert reason(require_same_place, place("Recreate", "staging"), origin()) == "OtherNamespace"
    require_same_place(place("Clone", "staging", target=other), origin())


def test_restore_of_before_is_taken_for_this_one() -> None:
    move = Move("demo--hz", 41, before=50)
    assert not move.is_done(taken(head=True, restore_epoch=50))
    elsewhere = taken(head=False, restore_epoch=51)
    assert not move.is_done(elsewhere)
    assert not move.is_done(elsewhere, [taken(), taken(epoch=52, parent=40)])
    assert not move.is_done(elsewhere, [taken(epoch=50, parent=41)])
    assert not move.is_done(taken(head=True, pending=True, restore_epoch=51))
    assert move.is_done(taken(head=True, restore_epoch=51))


def test_restore_is_forgotten_when_a_checkpoint_was_taken_since() -> None:
    move = Move("demo--hz", 41, before=50)
    since = [taken(epoch=n, parent=n - 1 if n > 52 else 41) for n in (52, 53, 54)]
    assert move.is_done(taken(restore_epoch=51), [taken(), *since])
    assert move.is_done(taken(restore_epoch=51), since[1:])  # the first one was let go of


def test_newest_of_another_schedule_is_restored() -> None:
    label = "mm.memverge.com/schedule"
    mine = [taken(epoch=n, labels={label: "demo.hourly"}) for n in (3, 7, 5)]
    other = taken(epoch=9, labels={label: "demo.daily"})
    found = newest([*mine, other], "demo.hourly")
    assert found is not None
    assert found.epoch == 7
    found = newest(mine, "demo.hourly", {7})
    assert found is not None
    assert found.epoch == 5
    assert newest([other], "demo.hourly") is None


def test_pods_that_are_missing_are_ready() -> None:
    ready = captured_pod("hz-0")
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert unready([ready], 1) == []
    assert unready([ready], 2) == ["1 more"]
    assert unready([captured_pod("hz-0")], 1) == ["hz-0"]


def test_agent_that_is_not_ready_is_asked() -> None:
    def agent(node: str, ready: str, **metadata: str) -> dict[str, Any]:
        return {
            "metadata": metadata,
            "spec": {
                "nodeName": node,
                "containers": [{"args": ["agent", "--listen=$(HOST_IP):9600"]}],
            },
            "status": {
                "hostIP": "10.0.0.1" if node == "n1" else "fd00::2",
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }

    pods = [agent("n2", "True"), agent("n1", "True"), agent("n3", "False")]
    assert addresses_of(pods) == ["tls://10.0.0.1:9600", "tls://[fd00::2]:9600"]
    assert addresses_of([agent("n1", "True", deletionTimestamp="now")]) == []
