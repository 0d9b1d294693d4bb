"""Pods under a MemoryMachine, from the webhook to their bytes: nothing stands in for anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.operator_site import NAMESPACE
from tests.kubernetes.pods_site import IMAGE, PodsSite, pods_site
from tests.kubernetes.workloads import pod

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[PodsSite]:
    with pods_site(cluster) as made:
        yield made


@pytest.fixture
def place(site: PodsSite, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that the webhook sees, under the restricted standard where a test says so."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].strip("-")
    restricted = request.node.get_closest_marker("restricted") is not None
    labels = ["pod-security.kubernetes.io/enforce=restricted"] if restricted else []
    site.namespace(name, *labels)
    yield name
    site.cluster.kubectl("delete", "namespace", name, "--timeout=90s", seconds=120)


def started(site: PodsSite, place: str, name: str) -> None:
    site.cluster.wait_for(f"pod/{name}", namespace=place, seconds=90)
    eventually(
        lambda: site.members().get(f"{place}--{name}/{name}") == "attached", f"{name} to attach"
    )
    eventually(lambda: site.last(place, name) > 2, f"{name} to count")


@pytest.mark.restricted
def test_restricted_pod_keeps_nothing_in_the_pool(site: PodsSite, place: str) -> None:
    """Its memory is there while it lives, is checkpointed, and goes when nobody can want it."""
    site.attached(place, "plain")
    started(site, place, "plain")
    group = f"{place}--plain"
    assert site.used_bytes(group) > 8 << 20
    site.cluster.kubectl("delete", "pod", "plain", "-n", place, "--wait=true")
    eventually(lambda: site.used_bytes(group) == 0, "usage to go down")

    site.attached(place, "kept")
    started(site, place, "kept")
    group = f"{place}--kept"
    site.mmsnap("checkpoint", "create", group, "--name", "one")
    counted = site.last(place, "kept")
    site.cluster.kubectl("delete", "pod", "kept", "-n", place, "--wait=true")
    site.mmsnap("checkpoint", "verify", group, "one")
    site.attached(place, "kept")
    started(site, place, "kept")
    said = site.cluster.logs("kept", "-c", "main", namespace=place).splitlines()
    began = int(said[0].removeprefix("began "))
    assert 0 < began <= counted


def test_program_that_knows_nothing_can_not_go_back(site: PodsSite, place: str) -> None:
    site.unaware(place, "count")
    started(site, place, "count")
    group = f"{place}--count"
    site.mmsnap("checkpoint", "create", group, "--name", "one")
    seen = site.last(place, "count")
    eventually(lambda: site.last(place, "count") > seen + 20, "it to run on")
    later = site.last(place, "count")
    site.mmsnap("restore", group, "one", "--yes")
    eventually(lambda: site.last(place, "count") < later, "it to go back")
    assert site.restarts(place, "count") == 0

    site.cluster.kubectl("delete", "pod", "count", "-n", place, "--wait=true")
    site.mmsnap("restore", group, "one", "--yes")  # pending, until the pod is there again
    site.unaware(place, "count")
    site.cluster.wait_for("pod/count", namespace=place, seconds=90)
    eventually(lambda: site.last(place, "count") >= seen - 5, "the new pod to go on from there")
    assert "began" not in site.cluster.logs("count", "-c", "main", namespace=place)


def test_command_of_the_image_is_left_out(site: PodsSite, place: str) -> None:
    """etcd's image has the command; the agent, as a plugin of containerd, puts ours before it."""
    image = {
        "image": "localhost/etcd:3.4",
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    made = pod("image", container=image, volumes=[{"name": "tmp", "emptyDir": {}}])
    del made["spec"]["containers"][0]["command"]
    site.create(place, made)
    site.cluster.wait_for("pod/image", namespace=place, seconds=90)
    eventually(
        lambda: site.members().get(f"{place}--image/image") == "attached", "the image's program"
    )
    site.mmsnap("checkpoint", "create", f"{place}--image")


def test_pod_that_did_not_ask_is_touched(site: PodsSite, place: str) -> None:
    made = pod("other", "sleep", "600", container={"image": IMAGE})
    site.cluster.apply({**made, "metadata": {"name": "other", "namespace": place}})
    site.cluster.wait_for("pod/other", namespace=place, seconds=60)
    found = site.cluster.get("pod", "other", "-n", place)
    assert "initContainers" not in found["spec"]
    assert found["spec"]["containers"][0]["command"] == ["sleep", "600"]
    assert "mmsnap" not in str(found["spec"]["volumes"])


def test_a_restart_of_anything_loses_a_pod(site: PodsSite, place: str) -> None:
    """Operator, agent, API server, etcd, kubelet and containerd in turn: checkpoints go on."""
    site.attached(place, "memory")
    site.unaware(place, "program")
    names = ("memory", "program")
    for name in names:
        started(site, place, name)

    def all_is_well(after: str) -> None:
        for name in names:
            group = f"{place}--{name}"
            eventually(lambda group=group: site.mmsnap("checkpoint", "create", group), after, 120)  # type: ignore[misc]
            assert site.restarts(place, name) == 0, after

    for part in ("operator", "agent"):
        label = (
            "app.kubernetes.io/name=memory-machine-operator"
            if part == "operator"
            else "app.kubernetes.io/component=agent"
        )
        site.cluster.kubectl("delete", "pod", "-n", NAMESPACE, "-l", label, "--wait=true")
        site.operator.await_condition("Ready", "True", seconds=120)
        all_is_well(f"a checkpoint after the {part} was deleted")
    site.cluster.kubectl("delete", "pod", "-n", NAMESPACE, "memory-machine-etcd-0", "--wait=true")
    all_is_well("a checkpoint after etcd was deleted")
    for component in ("apiserver", "etcd", "kubelet", "containerd"):
        site.cluster.restart(component)
        all_is_well(f"a checkpoint after {component} was restarted")
