"""Requests that can not work are refused before they are taken, in words that say what to do.

One site, with a workload for each trouble; the requests are asked for without being made
(`--dry-run=server`), which the API server admits or refuses like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.asking import Asking
from tests.kubernetes.operator_site import NAMESPACE
from tests.kubernetes.pods_site import ASKED, IMAGE, PYTHON, pods_site

pytestmark = pytest.mark.timeout(600)

Manifest = dict[str, Any]

HERE = "asked-here"
ELSEWHERE = "asked-elsewhere"
UNLABELLED = "asked-unlabelled"
HASTY = {"exec": {"command": ["true"]}, "periodSeconds": 2, "failureThreshold": 1}
IDLE = "import time\nwhile True: time.sleep(1)"
CHECKPOINTED = "parallel"  # the workload that has a checkpoint
JANE = "jane"
AS_JANE = ("--as", JANE, "--as-group", "system:authenticated")
WRITER = {  # no role of ours may do this
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "writer", "namespace": ELSEWHERE},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}


def workload(
    name: str, kind: str = "StatefulSet", container: Manifest | None = None, **more: Any
) -> Manifest:
    """Two pods that do nothing; captured, unless `captured` says otherwise."""
    captured = more.pop("captured", True)
    notes = {**ASKED, **more.pop("notes", {})}
    pod = more.pop("pod", {})
    app = {
        "name": "app",
        "image": IMAGE,
        "command": [PYTHON, "-c", IDLE],
        "securityContext": {"runAsUser": 0},
        **(container or {}),
    }
    template = {
        "metadata": {"labels": {"app": name}, "annotations": notes if captured else {}},
        "spec": {"containers": [app], "terminationGracePeriodSeconds": 1, **pod},
    }
    parallel = {"podManagementPolicy": "Parallel"} if kind == "StatefulSet" else {}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": HERE},
        "spec": {**spec, **parallel, **more},
    }


WORKLOADS = (
    workload(CHECKPOINTED, replicas=2, updateStrategy={"type": "OnDelete"}),
    workload("ordered", podManagementPolicy="OrderedReady", container={"readinessProbe": HASTY}),
    workload("stranger", captured=False),
    workload("web", kind="Deployment"),
    workload(
        "hasty",
        container={"readinessProbe": HASTY, "livenessProbe": {**HASTY, "periodSeconds": 9}},
        notes={"memory-machine.memverge.com/profile": "redis"},
    ),
    workload(
        "written",
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumeClaimTemplates=[
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Mi"}},
                },
            }
        ],
    ),
    workload("empty", replicas=0),
)
BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "none-may-go", "namespace": HERE},
    "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "hasty"}}},
}


@pytest.fixture(scope="module")
def asking(cluster: Cluster) -> Iterator[Asking]:
    with pods_site(cluster) as site:
        site.namespace(HERE)
        site.namespace(ELSEWHERE)
        cluster.kubectl("create", "namespace", UNLABELLED)
        try:
            everything = {"apiVersion": "v1", "kind": "List", "items": [*WORKLOADS, BUDGET]}
            cluster.apply(everything)
            asking = Asking(site, HERE)
            for one in WORKLOADS:
                name, count = one["metadata"]["name"], one["spec"]["replicas"]
                if count:
                    cluster.wait_for(
                        f"{one['kind'].lower()}/{name}",
                        f"jsonpath={{.status.readyReplicas}}={count}",
                        namespace=HERE,
                        seconds=120,
                    )
            asking.checkpoint = asking.taken(CHECKPOINTED)
            asking.ordered = asking.taken("ordered")
            yield asking
        finally:
            cluster.kubectl("delete", "namespace", HERE, ELSEWHERE, UNLABELLED, seconds=180)


# ---- CheckpointRequest --------------------------------------------------------------------------


def test_what_can_work_is_let_through_without_a_word(asking: Asking) -> None:
    assert asking.ask("CheckpointRequest", asking.take(CHECKPOINTED)) == ""
    selector = {"selector": {"matchLabels": {"app": CHECKPOINTED}}}
    assert asking.ask("CheckpointRequest", {"source": selector}) == ""
    for strategy, target in (("InPlace", ""), ("Recreate", ""), ("Clone", "copy")):
        assert asking.ask("RestoreRequest", asking.restore(strategy, target)) == ""


def test_a_source_is_one_thing(asking: Asking) -> None:
    both = {"kind": "StatefulSet", "name": "web", "selector": {"matchLabels": {"a": "b"}}}
    for source in (both, {}, {"kind": "StatefulSet"}):
        told = asking.refused("CheckpointRequest", {"source": source})
        assert "is the source" in told or "by its kind and its name" in told


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"kind": "StatefulSet", "name": "gone"}, ["there is no StatefulSet gone in namespace"]),
        ({"kind": "StatefulSet", "name": "empty"}, ["StatefulSet empty has no pod"]),
        ({"selector": {"matchLabels": {"app": "gone"}}}, ["no pod here has the labels"]),
        (
            {
                "selector": {
                    "matchExpressions": [
                        {"key": "app", "operator": "In", "values": [CHECKPOINTED, "hasty"]}
                    ]
                }
            },
            ["StatefulSet hasty, StatefulSet parallel", "a request for each"],
        ),
        (
            {"kind": "StatefulSet", "name": "stranger"},
            ["pod stranger-0", "inject-env", "memverge=enabled"],
        ),
    ],
)
def test_a_source_without_members_of_one_workload_is_refused(
    asking: Asking, source: Manifest, words: list[str]
) -> None:
    told = asking.refused("CheckpointRequest", {"source": source})
    assert not [word for word in words if word not in told], told


def test_an_engine_that_there_is_not_and_a_profile_that_pods_have_not_are_refused(
    asking: Asking,
) -> None:
    told = asking.refused("CheckpointRequest", asking.take(CHECKPOINTED, engine="kubelet"))
    assert "checkpoints by the kubelet's own API are not made" in told
    told = asking.refused("CheckpointRequest", asking.take("hasty", profile="hazelcast"))
    assert "runs the profile redis, and not hazelcast" in told
    assert "memory-machine.memverge.com/profile: hazelcast" in told
    told = asking.ask("CheckpointRequest", asking.take(CHECKPOINTED, profile="hazelcast"))
    assert "Warning: mmsnap: container app of pod parallel-0 runs no profile" in told
    assert "unless the program attaches by itself" in told


def test_a_writable_claim_is_refused_unless_it_is_to_be_ignored(asking: Asking) -> None:
    told = asking.refused("CheckpointRequest", asking.take("written"))
    assert "written-0 mounts the volume claim data (at /data) for writing" in told
    assert "volumes: Ignore" in told
    assert asking.ask("CheckpointRequest", asking.take("written", volumes="Ignore")) == ""


def test_probes_shorter_than_the_pause_are_a_warning_and_a_broken_budget_is_refused(
    asking: Asking,
) -> None:
    told = asking.refused("CheckpointRequest", asking.take("hasty", maxPauseMilliseconds=3000))
    assert "PodDisruptionBudget none-may-go allows 0 now" in told
    assert "disruptionBudgets: Ignore" in told
    ignoring = asking.take("hasty", maxPauseMilliseconds=3000, disruptionBudgets="Ignore")
    told = asking.ask("CheckpointRequest", ignoring)
    assert "Warning: mmsnap: the livenessProbe of container app in hasty-0 bears 1000 ms" in told
    assert "restart its container" in told
    assert asking.ask("CheckpointRequest", asking.take("hasty", maxPauseMilliseconds=900)) == ""


# ---- CheckpointSchedule -------------------------------------------------------------------------


def test_a_schedule_is_looked_at_like_its_requests(asking: Asking) -> None:
    def schedule(name: str, **spec: Any) -> Manifest:
        return {"interval": "5m", "template": {"spec": asking.take(name, **spec)}}

    assert "there is no StatefulSet gone" in asking.refused("CheckpointSchedule", schedule("gone"))
    assert "volumes: Ignore" in asking.refused("CheckpointSchedule", schedule("written"))
    told = asking.ask("CheckpointSchedule", schedule("empty"))
    assert "Warning: mmsnap: as things are now: StatefulSet empty has no pod" in told


# ---- RestoreRequest -----------------------------------------------------------------------------


def test_a_checkpoint_that_is_not_there_or_not_ready_is_refused(asking: Asking) -> None:
    source = {"checkpointName": "gone"}
    told = asking.refused("RestoreRequest", asking.restore("InPlace", source=source))
    assert "there is no Checkpoint gone in asked-here" in told
    told = asking.refused(
        "RestoreRequest", asking.restore("InPlace", source={"scheduleName": "gone"})
    )
    assert "there is no CheckpointSchedule gone" in told
    asking.cluster.apply(
        {
            "apiVersion": "mm.memverge.com/v1alpha1",
            "kind": "Checkpoint",
            "metadata": {"name": "unready", "namespace": HERE},
            "spec": {
                "group": f"{HERE}--{CHECKPOINTED}",
                "epoch": 12345,
                "template": {"kind": "StatefulSet", "name": CHECKPOINTED},
            },
        }
    )
    try:
        source = {"checkpointName": "unready"}
        told = asking.refused("RestoreRequest", asking.restore("InPlace", source=source))
        assert "Checkpoint unready is not Ready" in told
    finally:
        asking.cluster.kubectl("delete", "checkpoint", "unready", "-n", HERE, "--wait=false")


@pytest.mark.parametrize(
    ("strategy", "target", "words"),
    [
        ("InPlace", "hasty", ["is not of StatefulSet hasty", "strategy Clone"]),
        ("Recreate", "hasty", ["is not of StatefulSet hasty", "strategy Clone"]),
        ("Clone", "hasty", ["there is a StatefulSet hasty", "another name"]),
    ],
)
def test_a_target_that_is_another_workload_is_refused(
    asking: Asking, strategy: str, target: str, words: list[str]
) -> None:
    told = asking.refused("RestoreRequest", asking.restore(strategy, target))
    assert not [word for word in words if word not in told], told


def test_new_pods_need_a_set_whose_names_stay_and_a_namespace_that_is_captured(
    asking: Asking,
) -> None:
    target = {"kind": "Deployment", "name": "copy"}
    told = asking.refused("RestoreRequest", {**asking.restore("Clone"), "target": target})
    assert "only a StatefulSet" in told
    with asking.shared(UNLABELLED):
        told = asking.refused("RestoreRequest", asking.from_elsewhere(), UNLABELLED)
        assert f"kubectl label namespace {UNLABELLED} memverge=enabled" in told


def test_a_changed_image_is_refused(asking: Asking) -> None:
    place = ("-n", HERE, "--type=json", "-p")
    path = "/spec/template/spec/containers/0/image"

    def set_image(image: str) -> None:
        patch = json.dumps([{"op": "replace", "path": path, "value": image}])
        asking.cluster.kubectl("patch", "statefulset", CHECKPOINTED, *place, patch)

    set_image("localhost/debian:bookworm")
    try:
        told = asking.refused("RestoreRequest", asking.restore("Recreate"))
        assert "localhost/debian:bookworm" in told
        assert IMAGE in told
        assert asking.ask("RestoreRequest", asking.restore("InPlace")) == ""
    finally:
        set_image(IMAGE)


def test_other_pods_than_the_checkpoints_are_not_restored_in_place(asking: Asking) -> None:
    patch = json.dumps(
        [{"op": "replace", "path": "/status/members/0/imageID", "value": "sha256:other"}]
    )
    before = asking.cluster.get("checkpoint", asking.checkpoint, "-n", HERE)
    place = ("checkpoint", asking.checkpoint, "-n", HERE, "--subresource=status", "--type=json")
    asking.cluster.kubectl("patch", *place, "-p", patch)
    try:
        told = asking.refused("RestoreRequest", asking.restore("InPlace"))
        assert "container app of pod parallel-0" in told
        assert "sha256:other" in told
    finally:
        was = before["status"]["members"][0]["imageID"]
        patch = json.dumps([{"op": "replace", "path": "/status/members/0/imageID", "value": was}])
        asking.cluster.kubectl("patch", *place, "-p", patch)


def test_a_set_that_starts_its_pods_one_by_one_is_not_made_anew(asking: Asking) -> None:
    source = {"checkpointName": asking.ordered}
    for strategy, target in (("Recreate", ""), ("Clone", "copy")):
        told = asking.refused("RestoreRequest", asking.restore(strategy, target, source=source))
        assert "OrderedReady" in told
        assert "podManagementPolicy: Parallel" in told


# ---- who may ------------------------------------------------------------------------------------


def test_another_namespace_has_to_be_allowed_by_the_checkpoints_own(asking: Asking) -> None:
    told = asking.refused("RestoreRequest", asking.from_elsewhere(), ELSEWHERE)
    assert f"does not have {ELSEWHERE} among its allowedNamespaces" in told
    with asking.shared(ELSEWHERE):
        assert asking.ask("RestoreRequest", asking.from_elsewhere(), ELSEWHERE) == ""
        told = asking.refused(
            "RestoreRequest", {**asking.from_elsewhere(), "strategy": "InPlace"}, ELSEWHERE
        )
        assert "strategy Clone" in told


def test_who_may_not_read_a_checkpoint_can_not_restore_it_nor_learn_of_it(asking: Asking) -> None:
    """In both namespaces: his own right to ask here, and his own right to read there."""
    clone = asking.from_elsewhere()
    with asking.shared(ELSEWHERE), asking.bound(JANE, ELSEWHERE, "edit"):
        told = asking.refused("RestoreRequest", asking.from_elsewhere(), ELSEWHERE, *AS_JANE)
        assert f"user {JANE} may not get checkpoints {asking.checkpoint}" in told
        gone = asking.restore(
            "Clone", "copy", source={"namespace": HERE, "checkpointName": "no-such"}
        )
        assert "may not get checkpoints no-such" in asking.refused(
            "RestoreRequest", gone, ELSEWHERE, *AS_JANE
        )
        by_schedule = asking.restore(
            "Clone", "copy", source={"namespace": HERE, "scheduleName": "no-such"}
        )
        assert "may not get checkpointschedules no-such" in asking.refused(
            "RestoreRequest", by_schedule, ELSEWHERE, *AS_JANE
        )
        with asking.bound(JANE, HERE, "view"):
            eventually(
                lambda: not asking.ask("RestoreRequest", clone, ELSEWHERE, *AS_JANE),
                "her right to be known",
                20,
            )
    with asking.shared(ELSEWHERE), asking.bound(JANE, HERE, "view"):
        told = asking.refused("RestoreRequest", asking.from_elsewhere(), ELSEWHERE, *AS_JANE)
        assert "cannot create resource" in told


def test_who_may_ask_but_not_make_sets_gets_none_made(asking: Asking) -> None:
    take = asking.take(CHECKPOINTED)
    with asking.bound(JANE, HERE, "memory-machine-editor"):
        eventually(
            lambda: not asking.ask("CheckpointRequest", take, HERE, *AS_JANE),
            "her right to be known",
            20,
        )
        told = asking.refused("RestoreRequest", asking.restore("Clone", "copy"), HERE, *AS_JANE)
        assert f"user {JANE} may not create statefulsets" in told
        assert asking.ask("RestoreRequest", asking.restore("InPlace"), HERE, *AS_JANE) == ""


def test_a_checkpoint_that_somebody_writes_himself_is_refused(asking: Asking) -> None:
    """It would say that another group's bytes are his."""
    forged = {"group": "kube-system--secrets", "epoch": 1}
    asking.cluster.apply(WRITER)
    with asking.bound(JANE, ELSEWHERE, "writer", kind="Role"):
        told = ""

        def refused_by_admission() -> bool:
            nonlocal told
            told = asking.refused("Checkpoint", forged, ELSEWHERE, *AS_JANE)
            return "made by the operator" in told

        eventually(refused_by_admission, "her right to be known", 20)
    assert asking.ask("Checkpoint", forged, ELSEWHERE) == ""


# ---- at the end, for it takes the agent away ----------------------------------------------------


def test_without_an_agent_on_a_members_node_nothing_is_taken(asking: Asking) -> None:
    asking.site.operator.label(off=True)
    try:
        asking.cluster.wait_for(
            "pod -l app.kubernetes.io/component=agent", "delete", namespace=NAMESPACE, seconds=90
        )
        told = asking.refused("CheckpointRequest", asking.take(CHECKPOINTED))
        assert "no agent is ready on node" in told
        assert "parallel-0, parallel-1" in told
        assert "no agent is ready" in asking.refused("RestoreRequest", asking.restore("InPlace"))
    finally:
        asking.site.operator.label()
        asking.site.operator.await_agents()
