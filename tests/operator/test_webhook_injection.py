"""Injection adds what it is to add, and does no harm to whatever pod it is given."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml
from hypothesis import assume, given, settings

from mmsnap_operator.webhook import wishes
from mmsnap_operator.webhook.injection import Injected, inject
from mmsnap_operator.webhook.installer import INSTALLER, PROGRAM, is_wrapped
from mmsnap_operator.webhook.patch import patch_of
from mmsnap_operator.webhook.refusals import Refusal
from mmsnap_operator.webhook.settings import Settings
from tests.operator.webhook_pods import Manifest, pods

SETTINGS = Settings("registry/mmsnap:1")
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))
many = settings(max_examples=80, deadline=None)


def injected(pod: Manifest) -> Injected:
    return inject(pod, "demo", SETTINGS)


def by_name(items: list[Manifest] | None) -> dict[str, Manifest]:
    return {item["name"]: item for item in items or []}


@many
@given(pods())
def test_the_patch_makes_the_injected_pod_and_leaves_the_given_one(pod: Manifest) -> None:
    before = copy.deepcopy(pod)
    after = injected(pod).pod
    assert pod == before
    assert jsonpatch.apply_patch(pod, patch_of(pod, after)) == after


@many
@given(pods(bad=True))
def test_whatever_can_not_be_captured_is_refused_in_words(pod: Manifest) -> None:
    once, reason = pod, None
    try:
        once = injected(pod).pod
    except Refusal as refusal:
        reason = str(refusal)
    if reason is not None:
        assert re.fullmatch(r"[A-Za-z].{20,400}", reason)
    else:
        assert patch_of(once, injected(once).pod) == []


@many
@given(pods())
def test_a_second_pass_changes_nothing(pod: Manifest) -> None:
    once = injected(pod).pod
    assert patch_of(once, inject(once, "demo", SETTINGS).pod) == []


@many
@given(pods())
def test_a_pass_after_another_webhook_added_a_container_leaves_that_alone(pod: Manifest) -> None:
    once = injected(pod).pod
    once["spec"]["containers"].append({"name": "mesh", "image": "mesh"})
    assert patch_of(once, inject(once, "demo", SETTINGS).pod) == []


@many
@given(pods())
def test_nothing_of_the_pod_is_lost_or_reordered(pod: Manifest) -> None:
    after = injected(pod).pod
    for key, value in pod["spec"].items():
        if key in ("initContainers", "volumes"):
            assert after["spec"][key][: len(value)] == value
        elif key not in ("containers", "nodeSelector"):
            assert after["spec"][key] == value
    for given_container, container in zip(
        pod["spec"]["containers"], after["spec"]["containers"], strict=True
    ):
        for key in ("env", "volumeMounts"):
            theirs = given_container.get(key, [])
            assert [item for item in container.get(key, []) if item in theirs] == theirs
        for key in given_container.keys() - {"env", "volumeMounts", "command"}:
            assert container[key] == given_container[key]
        command = given_container.get("command") or []
        assert not command or container["command"][-len(command) :] == command


@many
@given(pods())
def test_a_captured_container_is_started_by_init_or_by_the_node_and_no_other_is(
    pod: Manifest,
) -> None:
    after = injected(pod).pod
    volume = by_name(after["spec"]["volumes"])["mmsnap"]
    captured = volume["csi"]["volumeAttributes"]["containers"].split(",")
    listed = (after["metadata"].get("annotations") or {}).get(wishes.WRAP, "")
    by_node = listed.split(",") if listed else []
    for number, container in enumerate(after["spec"]["containers"]):
        name = container["name"]
        if name not in captured:
            assert container == pod["spec"]["containers"][number]
            continue
        assert is_wrapped(container.get("command") or []) != (name in by_node)
        assert (container.get("command") or []).count(PROGRAM) <= 1
        names = [variable["name"] for variable in container["env"]]
        assert names.index("MM_POD_NAME") < names.index("MMSNAP_MEMBER")


def cost(pod: Manifest, what: str, resource: str) -> int:
    """What the scheduler and quotas count: the sum, or the largest init container."""

    def of(container: Manifest) -> int:
        return int(container.get("resources", {}).get(what, {}).get(resource, 0))

    containers = sum(of(each) for each in pod["spec"]["containers"])
    return max([containers, *(of(each) for each in pod["spec"].get("initContainers", []))])


def quality(pod: Manifest) -> str:
    """The class of a pod as Kubernetes makes it of all containers, for cpu and memory."""
    everyone = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
    asked = [each.get("resources", {}) for each in everyone]
    kinds = ("cpu", "memory")
    if not any(each.get(what, {}).get(kind) for each in asked for what in each for kind in kinds):
        return "BestEffort"
    limits = [(each.get("limits", {}), each.get("requests", {})) for each in asked]
    strict = all(
        kind in limit and request.get(kind, limit[kind]) == limit[kind]
        for limit, request in limits
        for kind in kinds
    )
    return "Guaranteed" if strict else "Burstable"


@many
@given(pods())
def test_the_pod_costs_no_more_and_keeps_its_quality_of_service(pod: Manifest) -> None:
    assume("initContainers" not in pod["spec"])
    after = injected(pod).pod
    assert quality(after) == quality(pod)
    for what in ("requests", "limits"):
        for resource in ("cpu", "memory", "example.com/gpu"):
            assert cost(after, what, resource) == cost(pod, what, resource)


@many
@given(pods())
def test_the_installer_is_allowed_where_the_container_is(pod: Manifest) -> None:
    after = injected(pod).pod
    container = by_name(after["spec"]["initContainers"])[INSTALLER]
    security = {**after["spec"].get("securityContext", {}), **container["securityContext"]}
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["allowPrivilegeEscalation"] is False
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    if security.get("runAsNonRoot"):
        # The kubelet wants to see a number, for the image's own user is root.
        assert "runAsUser" in security


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_golden_example(file: Path) -> None:
    before, after = yaml.safe_load_all(file.read_text())
    assert inject(before, before["metadata"]["namespace"], SETTINGS).pod == after


def test_there_are_golden_examples() -> None:
    assert len(GOLDEN) >= 5


def plain(**spec: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "annotations": {}},
        "spec": {"containers": [{"name": "app", "image": "any", "command": ["run"]}], **spec},
    }


REFUSED = {
    "hostPID": plain(hostPID=True),
    "hostNetwork": plain(hostNetwork=True),
    "shareProcessNamespace": plain(shareProcessNamespace=True),
    "Windows": plain(os={"name": "windows"}),
    "nodeSelector": plain(nodeSelector={"storage": "disk"}),
    "volume mmsnap ": plain(volumes=[{"name": "mmsnap", "hostPath": {"path": "/"}}]),
    "container mmsnap-install": plain(initContainers=[{"name": "mmsnap-install"}]),
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_can_not_be_captured_is_refused_by_its_name(word: str) -> None:
    with pytest.raises(Refusal, match=word):
        inject(REFUSED[word], "demo", SETTINGS)


def test_the_network_of_the_node_is_no_hindrance_for_the_engine_memory() -> None:
    pod = plain(hostNetwork=True)
    pod["metadata"]["annotations"][wishes.ENGINE] = "memory"
    env = inject(pod, "demo", SETTINGS).pod["spec"]["containers"][0]["env"]
    assert {"name": "MMSNAP_ENGINE", "value": "memory"} in env


MISSAID = {
    wishes.CONTAINERS: ("ap", "no container 'ap', but app"),
    wishes.ENGINE: ("kubelet", 'write "process" or "memory"'),
    wishes.ON_LOSS: ("restart", 'write "rollback" or "wait" or "fresh"'),
    f"{wishes.COMMAND}app": ("redis-server", "JSON list"),
    f"{wishes.COMMAND}cache": ('["redis"]', "no container 'cache'"),
    wishes.WRAP: ("cache", "no container 'cache'"),
}


@pytest.mark.parametrize("annotation", MISSAID)
def test_an_annotation_that_makes_no_sense_is_refused_by_its_name(annotation: str) -> None:
    value, words = MISSAID[annotation]
    pod = plain()
    pod["metadata"]["annotations"][annotation] = value
    with pytest.raises(Refusal) as refused:
        inject(pod, "demo", SETTINGS)
    assert annotation in str(refused.value)
    assert words in str(refused.value)


VARIABLES = {
    "MMSNAP_GROUP": "somebody-elses",
    "MMSNAP_MEMBER": "another",
    "MMSNAP_ADDRESS": "unix:///tmp/x",
    "MMSNAP_ENGINE": "steam",
    "MM_POD_NAME": "another",
}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_says_otherwise_is_refused_by_its_name(name: str) -> None:
    pod = plain()
    pod["spec"]["containers"][0]["env"] = [{"name": name, "value": VARIABLES[name]}]
    with pytest.raises(Refusal, match=name):
        inject(pod, "demo", SETTINGS)


def test_a_volume_that_was_injected_into_another_pod_is_refused() -> None:
    # A manifest got from a running pod, its name changed: it would be another one's member.
    pod = inject(plain(), "demo", SETTINGS).pod
    pod["metadata"]["name"] = "web-copy"
    pod["spec"]["containers"][0]["env"] = []
    with pytest.raises(Refusal, match="take out what was injected"):
        inject(pod, "demo", SETTINGS)


@pytest.mark.parametrize(
    ("metadata", "owner", "workload"),
    [
        ({"name": "web-0"}, None, "web-0"),
        ({"name": "hz-0"}, ("StatefulSet", "hz"), "hz"),
        ({"generateName": "web-7d4b9c-"}, ("ReplicaSet", "web-7d4b9c"), "web"),
        ({"generateName": "other-"}, ("ReplicaSet", "other"), "other"),
        ({"generateName": "backup-"}, ("Job", "backup-7d4b9c"), "backup-7d4b9c"),
        ({"generateName": "try-"}, None, ""),
    ],
)
def test_the_workload_is_what_owns_the_pod(
    metadata: Manifest, owner: tuple[str, str] | None, workload: str
) -> None:
    pod = plain()
    pod["metadata"] = {**metadata, "labels": {"pod-template-hash": "7d4b9c"}}
    if owner:
        reference = {"kind": owner[0], "name": owner[1], "controller": True}
        pod["metadata"]["ownerReferences"] = [reference]
    spec = inject(pod, "demo", SETTINGS).pod["spec"]
    volume = by_name(spec["volumes"])["mmsnap"]
    assert volume["csi"]["volumeAttributes"]["workload"] == workload
    group = by_name(spec["containers"][0]["env"])["MMSNAP_GROUP"]["value"]
    assert group == (f"demo--{workload}" if workload else "demo--$(MM_POD_NAME)")


@pytest.mark.parametrize("name", ["a.b-", "a--b-", "x" * 80])
def test_a_name_that_can_not_be_put_together_later_is_refused(name: str) -> None:
    pod = plain()
    pod["metadata"] = {
        "generateName": name,
        "ownerReferences": [{"kind": "ReplicaSet", "name": "a", "controller": True}],
    }
    pod["spec"]["containers"].append({"name": "second", "image": "any"})
    with pytest.raises(Refusal, match="no DNS label"):
        inject(pod, "demo", SETTINGS)


def test_the_example_shows_what_the_webhook_would_do(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    words = [sys.executable, "-m", "mmsnap_operator.webhook.example", "--image", SETTINGS.image]
    file.write_text(yaml.safe_dump(plain()))
    told = subprocess.run([*words, str(file)], capture_output=True, text=True, check=True)
    assert yaml.safe_load(told.stdout) == inject(plain(), "default", SETTINGS).pod
    file.write_text(yaml.safe_dump(plain(hostPID=True)))
    told = subprocess.run([*words, str(file)], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (1, "")
    assert "hostPID" in told.stderr
