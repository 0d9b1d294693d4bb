"""One cut over three hosts: nodes and members of etcd that share no network but the switch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes.hosts import hosts
from tests.nodes.site import Cluster, bank, cluster
from tests.nodes.test_cluster import create

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with hosts(3) as made, cluster(3, made) as nodes:
        yield nodes


def test_a_cut_over_three_hosts_is_one(nodes: Cluster) -> None:
    with bank(nodes.nodes, 6) as members:
        for number, node in enumerate(nodes.nodes):
            members.check(create(node, f"c{number}"))
        told = nodes.nodes[0].mmsnap("restore", "bank", "c1")
        assert told.returncode == 0, told.stderr
        members.check(create(nodes.nodes[1], "after"))
        assert members.all_run()


def test_hosts_have_their_own_network(nodes: Cluster) -> None:
    for node in nodes.nodes:
        assert _namespace_of(node.process.pid) != _namespace_of(os.getpid())


def test_hosts_leave_nothing_behind() -> None:
    with hosts(2) as made:
        assert all(Path(host.namespace).exists() for host in made)
    assert not any(Path(host.namespace).exists() for host in made)


def _namespace_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")
