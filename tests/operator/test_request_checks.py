"""Each check refuses what it is for, says what to do, and lets the rest be.

The pods are what the webhook makes of pods, with a status as nodes tell it.
"""

from __future__ import annotations

from typing import Any

import pytest

from mmsnap_operator.checkpoints import preflight
from mmsnap_operator.restores.checks import require_images, require_same_images
from mmsnap_operator.restores.origin import Origin
from mmsnap_operator.restores.preflight import require_ready
from mmsnap_operator.webhook.injection import inject
from mmsnap_operator.webhook.settings import Settings
from mmsnap_operator.workloads.finding import Finding, Weight, named, require_none
from mmsnap_operator.workloads.pods import Owner, members_of
from mmsnap_operator.workloads.probes import borne_ms
from mmsnap_operator.workloads.refusals import Refused
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
    return list(preflight.check(source, {"consistency": "Crash", **spec}, there, budgets or []))


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
    memory = pods(annotations={"memory-machine.memverge.com/engine": "memory"})
    message = only(findings(memory, engine="process"), "EngineMismatch")
    assert "of pod hz-0 runs the engine memory, not process" in message
    only(findings(pods(), engine="kubelet"), "EngineUnavailable")
    profile = pods(annotations={"memory-machine.memverge.com/profile": "hazelcast"})
    message = only(findings(profile, profile="redis"), "ProfileMissing")
    assert "memory-machine.memverge.com/profile: redis" in message
    assert findings(profile, profile="hazelcast") == []


def test_program_that_may_attach_by_itself_is_warned_of() -> None:
    message = only(findings(pods(), engine="memory"), "EngineMismatch", Weight.WARNING)
    assert "unless the program attaches by itself" in message
    assert findings(pods(), consistency="Application") == []


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


def origin(image_id: str = IMAGE_ID, engine: str = "process", **status: Any) -> Origin:
    row = {"member": "hz-0", "pod": "hz-0", "container": "app"}
    row |= {"imageID": image_id, "engine": engine}
    made = {"spec": {"template": stateful_set()}, "status": {"members": [row], **status}}
    return Origin("demo", "hz-1", "demo--hz", 1, made)


def stateful_set(image: str = "redis:7") -> Manifest:
    container = {"name": "app", "image": image}
    return {"kind": "StatefulSet", "spec": {"template": {"spec": {"containers": [container]}}}}


def test_another_image_than_the_checkpoints_is_refused() -> None:
    require_images(origin(), members_of(pod()))
    with pytest.raises(Refused, match=r"container app of pod hz-0 .*sha256:2222"):
        require_images(origin("sha256:2222"), members_of(pod()))
    require_same_images(origin(), stateful_set())
    with pytest.raises(Refused, match=r"image redis:8 now and was checkpointed in redis:7"):
        require_same_images(origin(), stateful_set("redis:8"))


def test_a_program_that_attached_its_memory_may_be_newer_than_it() -> None:
    require_images(origin("sha256:2222", "memory"), members_of(pod()))
    require_same_images(origin(engine="memory"), stateful_set("redis:8"))


def test_an_image_that_nobody_told_of_is_not_guessed_at() -> None:
    require_images(origin("sha256:2222"), members_of(pod(image_id="")))
    require_images(origin("sha256:2222"), members_of(pod("hz-9")))


def test_only_a_checkpoint_that_is_ready_is_restored() -> None:
    def told(status: str) -> Origin:
        ready = {"type": "Ready", "status": status, "message": "bytes are gone"}
        return origin(conditions=[ready])

    require_ready(told("True"))
    require_ready(Origin("demo", "20261126-1", "demo--hz", 1, {}))
    with pytest.raises(Refused, match="bytes are gone"):
        require_ready(told("False"))
    with pytest.raises(Refused, match="nothing is told"):
        require_ready(origin())


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
