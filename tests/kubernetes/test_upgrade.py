"""Another image for the operator and the agents: no member and no checkpoint is lost by it.

The new image has the same content under another tag, which is all that Kubernetes looks at: every
pod of the operator and the agents is made anew, and what it finds was left by the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.operator_site import NAMESPACE
from tests.kubernetes.pods_site import IMAGE, PodsSite, pods_site

pytestmark = pytest.mark.timeout(600)

HOME = "upgraded"
NEXT = "localhost/mmsnap:next"
PODS = ("attached", "unaware")
_PRINTED_LATER = 3  # at most: what was counted at the cut, but not read from the log


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[PodsSite]:
    with pods_site(cluster) as made:
        made.namespace(HOME)
        yield made
        cluster.kubectl("delete", "namespace", HOME, seconds=120)


def take(site: PodsSite, pod: str, name: str) -> str:
    """The Checkpoint of a request that ended well."""
    site.cluster.apply(
        {
            "apiVersion": "mm.memverge.com/v1alpha1",
            "kind": "CheckpointRequest",
            "metadata": {"name": name, "namespace": HOME},
            "spec": {"source": {"kind": "Pod", "name": pod}},
        }
    )
    site.cluster.wait_for(
        f"checkpointrequest/{name}", "condition=Complete", namespace=HOME, seconds=60
    )
    request = site.cluster.get("checkpointrequest", name, "-n", HOME)
    return str(request["status"]["checkpointName"])


def restore(site: PodsSite, checkpoint: str, name: str) -> None:
    site.cluster.apply(
        {
            "apiVersion": "mm.memverge.com/v1alpha1",
            "kind": "RestoreRequest",
            "metadata": {"name": name, "namespace": HOME},
            "spec": {"source": {"checkpointName": checkpoint}, "strategy": "InPlace"},
        }
    )
    site.cluster.wait_for(
        f"restorerequest/{name}", "condition=Complete", namespace=HOME, seconds=90
    )


def images(site: PodsSite) -> set[str]:
    """Of the operator's and the agents' containers."""
    pods = site.cluster.get("pods", "-n", NAMESPACE)["items"]
    return {
        container["image"]
        for pod in pods
        if "etcd" not in pod["metadata"]["name"]
        for container in pod["spec"]["containers"]
    }


def fallen(site: PodsSite, pod: str) -> list[int]:
    """What a pod counted from, each time that its count went back."""
    log = site.cluster.logs(pod, "-c", "main", namespace=HOME)
    counts = [int(count) for count in re.findall(r"^(\d+)$", log, re.MULTILINE)]
    return [after for before, after in pairwise(counts) if after < before]


def upgrade(site: PodsSite) -> None:
    """As it is documented: the operator by its manifest, the agents by the MemoryMachine."""
    for node in site.cluster.nodes:
        node.enter(["ctr", "-n", "k8s.io", "images", "tag", "--force", IMAGE, NEXT])
    site.operator.apply_manifest(NEXT)
    site.operator.patch(mmVersion="next")
    eventually(lambda: images(site) == {NEXT}, "only new pods to be there", 120)
    site.operator.await_condition("Ready", "True", seconds=120)


def test_an_upgrade_loses_no_member_and_no_checkpoint(site: PodsSite) -> None:
    site.attached(HOME, "attached")
    site.unaware(HOME, "unaware")
    for name in PODS:
        site.cluster.wait_for(f"pod/{name}", namespace=HOME, seconds=90)
        member = f"{HOME}--{name}/{name}"
        eventually(
            lambda member=member: site.members().get(member) == "attached",  # type: ignore[misc]
            f"{name} to attach",
        )
        eventually(lambda name=name: site.last(HOME, name) > 5, f"{name} to count")  # type: ignore[misc]
    taken: dict[str, str] = {}
    at_least: dict[str, int] = {}
    at_most: dict[str, int] = {}
    for name in PODS:
        at_least[name] = site.last(HOME, name)
        taken[name] = take(site, name, f"before-{name}")
        at_most[name] = site.last(HOME, name)

    upgrade(site)

    told = site.members()
    assert {told[f"{HOME}--{name}/{name}"] for name in PODS} == {"attached"}
    assert {site.restarts(HOME, name) for name in PODS} == {0}
    for name in PODS:
        # It goes on, and far enough for its way back to be seen.
        eventually(
            lambda name=name: site.last(HOME, name) > at_most[name] + 100, f"{name} to go on"
        )  # type: ignore[misc]
        site.cluster.wait_for(f"checkpoint/{taken[name]}", namespace=HOME)
        take(site, name, f"after-{name}")
        restore(site, taken[name], f"back-{name}")
        eventually(lambda name=name: fallen(site, name), f"{name} to be as it was", 10)  # type: ignore[misc]
        assert at_least[name] <= fallen(site, name)[0] <= at_most[name] + _PRINTED_LATER
    assert {site.restarts(HOME, name) for name in PODS} == {0}


def test_uninstalling_ends_where_there_are_checkpoints_and_schedules(site: PodsSite) -> None:
    """Finalizers wait for an operator, and definitions for finalizers."""
    site.attached(HOME, "kept")
    site.cluster.wait_for("pod/kept", namespace=HOME, seconds=90)
    eventually(lambda: site.last(HOME, "kept") > 5, "kept to count")
    taken = take(site, "kept", "last")
    source = {"source": {"kind": "Pod", "name": "kept"}}
    site.cluster.apply(
        {
            "apiVersion": "mm.memverge.com/v1alpha1",
            "kind": "CheckpointSchedule",
            "metadata": {"name": "often", "namespace": HOME},
            "spec": {"interval": "1s", "template": {"spec": source}},
        }
    )
    held = ("checkpoint", taken, "-n", HOME)
    eventually(lambda: bool(site.cluster.get(*held)["metadata"].get("finalizers")), "it to be held")
    site.cluster.wait_for("checkpointschedule/often", namespace=HOME)
    site.cluster.kubectl("delete", "pods", "--all", "-n", HOME, "--timeout=90s", seconds=120)

    try:
        site.operator.uninstall()
        definitions = site.cluster.kubectl("get", "customresourcedefinitions", "-o", "name")
        assert "memverge.com" not in definitions
        eventually(lambda: "memory-machine" not in hooks(site), "no webhook to be asked", 60)
    finally:
        site.operator.install()  # for what is left to be taken away as always


def hooks(site: PodsSite) -> str:
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
    return site.cluster.kubectl("get", kinds, "-o", "name")
