"""The Hazelcast tutorial on Kubernetes, typed as it is printed, and looked at in between."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.kubernetes.hazelcast_image import archive
from tests.kubernetes.hazelcast_site import ENTRIES, MANIFESTS, MEMBERS, TUTORIAL, Hazelcast
from tests.kubernetes.kubectl_user import CHECKOUT
from tests.kubernetes.pods_site import PodsSite, pods_site
from tests.kubernetes.printed import Shell, blocks, shell

pytestmark = pytest.mark.timeout(900)

ALL_RIGHT: Final = f"{ENTRIES:,} of {ENTRIES:,} are right"


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[PodsSite]:
    cluster.load_image(archive())
    with pods_site(cluster, capacity_gib=4) as made:
        yield made


@pytest.fixture
def typed(site: PodsSite) -> Iterator[Shell]:
    """A shell in the checkout; what the tutorial made is gone afterwards."""
    try:
        with shell(site.cluster, CHECKOUT, ENTRIES=str(ENTRIES)) as made:
            yield made
    finally:
        words = ("delete", "namespace", "demo", "staging", "--ignore-not-found", "--timeout=120s")
        site.cluster.kubectl(*words, seconds=150)


def test_the_script_does_something_else_than_the_text() -> None:
    script = (MANIFESTS / "tutorial.sh").read_text()
    printed = blocks(TUTORIAL / "README.md", "On Kubernetes")
    # The script goes there from wherever it is called.
    printed[0] = printed[0].removeprefix("cd tutorials/hazelcast/kubernetes\n")
    assert script.split("\n\n", 1)[1].strip() == "\n\n".join(printed)


def test_hazelcast_does_not_come_back_as_it_is_printed(site: PodsSite, typed: Shell) -> None:
    made, taken, harmed, in_place, recreated, cloned, ended = blocks(
        TUTORIAL / "README.md", "On Kubernetes"
    )
    origin, clone = Hazelcast(site, "demo"), Hazelcast(site, "staging", "hz-copy")
    typed.type(made)
    pods, connections = origin.pods(), origin.connections()
    assert {frozenset(ends) for *ends, _ in connections} == {
        frozenset(pair) for pair in combinations(range(MEMBERS), 2)
    }
    assert "Application" in typed.type(taken)

    typed.type(harmed)
    assert ALL_RIGHT in typed.type(in_place)
    assert origin.connections() == connections
    assert origin.pods() == pods

    assert ALL_RIGHT in typed.type(recreated)
    assert origin.connections() == connections
    for name, pod in origin.pods().items():
        assert pod.uid != pods[name].uid
        assert pod.address != pods[name].address

    assert typed.type(cloned).count(ALL_RIGHT) == len(("the clone's", "the origin's"))
    assert clone.connections() == origin.connections() == connections
    typed.type(ended)
