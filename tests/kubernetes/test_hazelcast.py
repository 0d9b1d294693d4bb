"""Three real Hazelcast members in pods: captured at one instant, and back in every way there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.kubernetes.hazelcast_image import archive
from tests.kubernetes.hazelcast_site import ENTRIES, MEMBERS, Connections, Hazelcast
from tests.kubernetes.pods_site import PodsSite, pods_site

pytestmark = pytest.mark.timeout(600)

ALL_RIGHT: Final = f"{ENTRIES:,} of {ENTRIES:,} are right"
NONE_RIGHT: Final = f"0 of {ENTRIES:,} are right"


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[PodsSite]:
    cluster.load_image(archive())
    with pods_site(cluster, capacity_gib=4) as made:
        yield made


@pytest.fixture(scope="module")
def origin(site: PodsSite) -> Iterator[Hazelcast]:
    """Filled, and captured as "full"."""
    with _in_namespace(site, "demo") as made:
        made.create()
        made.await_whole()
        made.personnel("insert", f"--entries={ENTRIES}")
        site.mmsnap("checkpoint", "create", made.group, "--name", "full")
        yield made


@pytest.fixture(scope="module")
def connections(origin: Hazelcast) -> Connections:
    """Those between members at the cut."""
    found = origin.connections()
    assert {frozenset(ends) for *ends, _ in found} == {
        frozenset(pair) for pair in combinations(range(MEMBERS), 2)
    }
    return found


def test_entries_and_pods_do_not_survive_in_place(
    site: PodsSite, origin: Hazelcast, connections: Connections
) -> None:
    pods = origin.pods()
    origin.personnel("clear")
    assert origin.verify() == NONE_RIGHT
    origin.kill()
    site.mmsnap("restore", origin.group, "full", "--yes")
    origin.await_whole()
    assert origin.verify() == ALL_RIGHT
    assert origin.connections() == connections
    assert origin.pods() == pods


def test_new_pods_do_not_go_on_where_the_old_ones_were(
    site: PodsSite, origin: Hazelcast, connections: Connections
) -> None:
    pods = origin.pods()
    origin.delete()
    site.mmsnap("restore", origin.group, "full", "--yes")
    origin.create()
    origin.await_whole()
    assert origin.verify() == ALL_RIGHT
    assert origin.connections() == connections
    for name, pod in origin.pods().items():
        assert pod.uid != pods[name].uid
        assert pod.address != pods[name].address


def test_a_clone_and_its_origin_are_not_apart(
    site: PodsSite, origin: Hazelcast, connections: Connections
) -> None:
    renamed = [f"--member={name}={name.replace('hz', 'hz-copy')}" for name in origin.pods()]
    with _in_namespace(site, "staging", "hz-copy") as clone:
        site.mmsnap("clone", origin.group, "full", clone.group, *renamed)
        clone.create()
        clone.await_whole()
        assert clone.verify() == ALL_RIGHT
        assert clone.connections() == connections
        clone.personnel("clear")
        origin.await_whole()
        assert (clone.verify(), origin.verify()) == (NONE_RIGHT, ALL_RIGHT)


@contextmanager
def _in_namespace(site: PodsSite, place: str, name: str = "hz") -> Iterator[Hazelcast]:
    site.namespace(place)
    try:
        yield Hazelcast(site, place, name)
    finally:
        site.cluster.kubectl("delete", "namespace", place, "--timeout=90s", seconds=120)
