"""Each check refuses what it is for, says what to do, and lets the rest be.

The pods are what the webhook makes of pods, with a status as nodes tell it.
"""

from __future__ import annotations

from typing import Any

import pytest

from mmsnap_operator.webhook.injection import inject
from mmsnap_operator.webhook.settings import Settings
from mmsnap_operator.workloads import checkpoint_preflight
from mmsnap_operator.workloads.finding import Finding, Weight, named, require_none
from mmsnap_operator.workloads.images import check_running_images, check_template_images
from mmsnap_operator.workloads.ordering import check_ordering
from mmsnap_operator.workloads.pods import Owner, members_of
from mmsnap_operator.workloads.probes import borne_ms
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.restore_source import require_ready, require_shared
from mmsnap_operator.workloads.source import Source

Manifest = dict[str, Any]
READY = [{"type": "Ready", "status": "True"}]
IMAGE_ID = "docker.io/library/redis@sha256:1111"
HASTY = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 1, "tcpSocket": {"port": 1}}
BLOCKS = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-hz-0"}}]}
MOUNT = {"name": "data", "mountPath": "/data"}


def pod(
    name: str = "hz-0",
    annotations: dict[str, str] | None = None,
    node: str = "n1",
    image_id: str = IMAGE_ID,
    container: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """Of the StatefulSet hz in the namespace demo; captured, running and ready."""
    app = {"name": "app", "image": "redis:7", "command": ["redis"], **(container or {})}
    given = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "demo",
            "labels": {"app": "hz"},
            "annotations": {"memory-machine.memverge.com/inject-env": "yes", **(annotations or {})},
            "ownerReferences": [{"kind": "StatefulSet", "name": "hz", "controller": True}],
        },
        "spec": {"nodeName": node, "containers": [app], **spec},
    }
    made = inject(given, "demo", Settings("registry/mmsnap:1")).pod
    running = {"name": "app", "imageID": image_id, "state": {"running": {}}}
    return made | {
        "status": {"phase": "Running", "conditions": READY, "containerStatuses": [running]}
    }


def pods(count: int = 3, **given: Any) -> list[Manifest]:
    return [pod(f"hz-{number}", **given) for number in range(count)]


def agent(node: str = "n1", ready: bool = True) -> Manifest:
    return {
        "metadata": {"name": f"memory-machine-{node}"},
        "spec": {"nodeName": node},
        "status": {"conditions": READY if ready else []},
    }


def budget(allowed: int, selector: Manifest | None = None, **metadata: Any) -> Manifest:
    return {
        "metadata": {"name": "keep", "generation": 1, **metadata},
        "spec": {"selector": {"matchLabels": {"app": "hz"}} if selector is None else selector},
        "status": {"observedGeneration": 1, "disruptionsAllowed": allowed},
    }


def findings(
    given: list[Manifest],
    agents: list[Manifest] | None = None,
    budgets: list[Manifest] | None = None,
    **spec: Any,
) -> list[Finding]:
    source = Source("demo", Owner("StatefulSet", "hz"), {"kind": "StatefulSet"}, given)
    there = [agent()] if agents is None else agents
    return list(checkpoint_preflight.check(source, spec, there, budgets or []))


def only(found: list[Finding], reason: str, weight: Weight = Weight.LASTING) -> str:
    (finding,) = found
    assert (finding.reason, finding.weight) == (reason, weight)
    return finding.message


def test_pods_that_can_be_checkpointed_are_let_be() -> None:
    assert findings(pods()) == []
    assert findings(pods(), engine="process", maxPauseMilliseconds=800, volumes="Refuse") == []


# ---- volumes -----------------------------------------------------------------------------------


def test_a_writable_claim_is_refused_unless_the_request_says_otherwise() -> None:
    given = pods(container={"volumeMounts": [MOUNT]}, **BLOCKS)
    message = only(findings(given), "WritableVolume")
    assert "hz-0, hz-1, hz-2 mount the volume claim data (at /data)" in message
    assert "volumes: Ignore" in message
    assert findings(given, volumes="Ignore") == []


@pytest.mark.parametrize(
    ("mount", "volume"),
    [
        (MOUNT | {"readOnly": True}, BLOCKS["volumes"][0]),
        (MOUNT, {"name": "data", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}),
        (MOUNT, {"name": "data", "emptyDir": {}}),
        (MOUNT, {"name": "data", "configMap": {"name": "c"}}),
    ],
)
def test_what_can_not_be_written_or_is_no_claim_is_let_be(mount: Manifest, volume: Any) -> None:
    assert findings(pods(container={"volumeMounts": [mount]}, volumes=[volume])) == []


@pytest.mark.parametrize(
    ("container", "volume"),
    [
        ({"volumeMounts": [MOUNT]}, {"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}),
        ({"volumeDevices": [{"name": "data", "devicePath": "/dev/x"}]}, BLOCKS["volumes"][0]),
    ],
)
def test_claims_of_other_forms_are_found_too(container: Manifest, volume: Manifest) -> None:
    only(findings(pods(container=container, volumes=[volume])), "WritableVolume")


def test_a_claim_that_only_another_container_writes_is_let_be() -> None:
    side = {"name": "side", "image": "any", "command": ["x"], "volumeMounts": [MOUNT]}
    app = {"name": "app", "image": "redis:7", "command": ["redis"]}
    mine = {"memory-machine.memverge.com/containers": "app"}
    assert findings(pods(annotations=mine, containers=[app, side], **BLOCKS)) == []


# ---- how they are captured ---------------------------------------------------------------------


def test_another_engine_or_profile_than_the_pods_have_is_refused() -> None:
    message = only(findings(pods(), engine="memory"), "EngineDiffers")
    assert "hz-0, hz-1, hz-2 have process" in message
    message = only(findings(pods(), profile="hazelcast"), "ProfileDiffers")
    assert "have none" in message
    assert "memory-machine.memverge.com/profile: hazelcast" in message
    profile = {"memory-machine.memverge.com/profile": "hazelcast"}
    assert findings(pods(annotations=profile), profile="hazelcast") == []
    assert "have hazelcast" in only(
        findings(pods(annotations=profile), profile="redis"), "ProfileDiffers"
    )


def test_no_agent_on_a_members_node_is_told_with_the_node() -> None:
    given = [pod("hz-0"), pod("hz-1", node="n2")]
    message = only(findings(given), "NoAgent", Weight.PASSING)
    assert "node n2, where hz-1 is" in message
    only(findings(given, [agent(), agent("n2", ready=False)]), "NoAgent", Weight.PASSING)
    assert findings(given, [agent(), agent("n2")]) == []


# ---- probes and budgets ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "ms"),
    [
        ({}, 21_000),
        (HASTY, 1_000),
        ({"periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 1}, 5_000),
        ({"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}, 5_000),
    ],
)
def test_what_a_probe_bears_is_from_its_first_question_to_its_last_timeout(
    probe: Manifest, ms: int
) -> None:
    assert borne_ms(probe) == ms


@pytest.mark.parametrize("kind", ["livenessProbe", "readinessProbe"])
def test_a_probe_shorter_than_the_pause_is_a_warning(kind: str) -> None:
    given = pods(container={kind: HASTY})
    message = only(findings(given), "ProbeShorterThanPause", Weight.WARNING)
    assert f"the {kind} of container app in hz-0, hz-1, hz-2 bears 1000 ms" in message
    assert "a typical one" in message
    assert findings(given, maxPauseMilliseconds=999) == []
    only(findings(given, maxPauseMilliseconds=0), "ProbeShorterThanPause", Weight.WARNING)


def test_a_startup_probe_asks_nobody_who_runs() -> None:
    assert findings(pods(container={"startupProbe": HASTY})) == []


def test_a_freeze_that_would_break_a_budget_is_refused_unless_the_request_says_otherwise() -> None:
    given = pods(container={"readinessProbe": HASTY})
    broken, warned = findings(given, budgets=[budget(1)])
    assert warned.weight is Weight.WARNING
    message = only([broken], "DisruptionBudget", Weight.PASSING)
    assert "so 3 pods would not be ready at once, and PodDisruptionBudget keep allows 1" in message
    assert "disruptionBudgets: Ignore" in message
    only(
        findings(given, budgets=[budget(1)], disruptionBudgets="Ignore"),
        "ProbeShorterThanPause",
        Weight.WARNING,
    )
    assert findings(given, budgets=[budget(1)], maxPauseMilliseconds=900) == []


@pytest.mark.parametrize(
    "harmless",
    [
        budget(3),
        budget(0, {"matchLabels": {"app": "another"}}),
        budget(0, {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["hz"]}]}),
    ],
)
def test_a_budget_with_room_or_of_others_is_let_be(harmless: Manifest) -> None:
    found = findings(pods(container={"readinessProbe": HASTY}), budgets=[harmless])
    only(found, "ProbeShorterThanPause", Weight.WARNING)


def test_a_budget_whose_count_is_of_an_older_one_allows_nothing() -> None:
    found = findings(pods(container={"readinessProbe": HASTY}), budgets=[budget(3, generation=2)])
    assert found[0].reason == "DisruptionBudget"


def test_pods_that_stay_ready_or_are_not_break_no_budget() -> None:
    assert findings(pods(), budgets=[budget(0)]) == []
    unready = pods(container={"readinessProbe": HASTY})
    for each in unready:
        each["status"]["conditions"] = []
    only(findings(unready, budgets=[budget(0)]), "ProbeShorterThanPause", Weight.WARNING)


# ---- restores ----------------------------------------------------------------------------------


def recorded(image_id: str) -> list[Manifest]:
    return [{"pod": "hz-0", "container": "app", "imageID": image_id}]


def test_another_image_than_the_checkpoints_is_refused() -> None:
    members = members_of(pod())
    assert check_running_images(members, recorded(IMAGE_ID)) == []
    assert check_running_images(members, recorded("sha256:1111")) == []
    message = only(check_running_images(members, recorded("sha256:2222")), "ImageChanged")
    assert "container app of pod hz-0 runs the image sha256:1111" in message
    assert "is of sha256:2222" in message


def test_a_program_that_attached_its_memory_may_be_newer_than_it() -> None:
    members = members_of(pod(annotations={"memory-machine.memverge.com/engine": "memory"}))
    only(check_running_images(members, recorded("sha256:2222")), "ImageChanged", Weight.WARNING)


def test_an_image_that_nobody_told_of_is_not_guessed_at() -> None:
    assert check_running_images(members_of(pod(image_id="")), recorded("sha256:2")) == []
    assert check_running_images(members_of(pod("hz-9")), recorded("sha256:2")) == []


def stateful_set(image: str = "redis:7", **spec: Any) -> Manifest:
    container = {"name": "app", "image": image, **spec.pop("container", {})}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "hz"},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}, **spec},
    }


def test_new_pods_get_the_image_of_the_checkpoint_or_none() -> None:
    assert check_template_images(stateful_set(), stateful_set(), ()) == []
    found = check_template_images(stateful_set("redis:8"), stateful_set(), ())
    message = only(found, "ImageChanged")
    assert "has the image redis:8, and the checkpoint is of redis:7" in message
    assert check_template_images(stateful_set("redis:8"), stateful_set(), ["side"]) == []


def test_a_set_whose_pods_wait_for_each_other_is_not_made_anew() -> None:
    waiting = {"container": {"readinessProbe": HASTY}}
    message = only(check_ordering(stateful_set(**waiting)), "OrderedReady")
    assert "podManagementPolicy: Parallel" in message
    only(check_ordering(stateful_set(container={"startupProbe": HASTY})), "OrderedReady")
    for harmless in (
        stateful_set(**waiting, podManagementPolicy="Parallel"),
        stateful_set(**waiting, replicas=1),
        stateful_set(container={"livenessProbe": HASTY}),
    ):
        assert check_ordering(harmless) == []


def checkpoint(*allowed: str, ready: str = "True", **metadata: Any) -> Manifest:
    return {
        "metadata": {"name": "hz-1", "namespace": "demo", **metadata},
        "spec": {"group": "demo--hz", "epoch": 1, "allowedNamespaces": list(allowed)},
        "status": {"conditions": [{"type": "Ready", "status": ready, "message": "bytes are gone"}]},
    }


def test_a_checkpoint_is_restored_where_its_owner_says() -> None:
    require_shared(checkpoint(), "demo")
    require_shared(checkpoint("staging"), "staging")
    with pytest.raises(Refused, match=r"may not be restored in staging: .*allowedNamespaces"):
        require_shared(checkpoint("other"), "staging")


def test_only_a_checkpoint_that_is_ready_and_stays_is_restored() -> None:
    require_ready(checkpoint())
    with pytest.raises(Refused, match="bytes are gone"):
        require_ready(checkpoint(ready="False"))
    with pytest.raises(Refused, match="nothing is told"):
        require_ready({**checkpoint(), "status": {}})
    with pytest.raises(Refused, match="being deleted"):
        require_ready(checkpoint(deletionTimestamp="2026-11-26T07:00:00Z"))


# ---- words -------------------------------------------------------------------------------------


def test_a_controller_stops_at_the_first_finding_that_refuses() -> None:
    warning = Finding("A", "a", Weight.WARNING)
    require_none([warning])
    with pytest.raises(Refused) as refused:
        require_none([warning, Finding("B", "b", Weight.PASSING), Finding("C", "c")])
    assert (refused.value.reason, refused.value.lasting) == ("B", False)


def test_many_names_are_not_all_listed() -> None:
    assert named(f"hz-{number}" for number in range(5)) == "hz-0, hz-1, hz-2 and 2 more"
    assert named(["hz-0"]) == "hz-0"
