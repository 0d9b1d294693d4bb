"""One cut over many nodes: all or none, whoever is asked, whoever dies."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster.site import Cluster, Node, bank, cluster


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


def create(node: Node, name: str) -> int:
    told = node.mmsnap("checkpoint", "create", "bank", "--name", name)
    assert told.returncode == 0, told.stderr
    shown = node.mmsnap("checkpoint", "show", "bank", name, "-o", "json")
    epoch: int = json.loads(shown.stdout)["epoch"]
    return epoch


def test_any_node_cuts_all_members_at_one_instant(nodes: Cluster) -> None:
    with bank(nodes.nodes, 6) as members:
        under_way = [members.check(create(nodes.nodes[n % 3], f"c{n}")) for n in range(9)]
        assert members.all_run()
        assert any(under_way), "there was something on the way, or this shows nothing"
        told = nodes.nodes[1].mmsnap("restore", "bank", "c2")
        assert told.returncode == 0, told.stderr
        assert members.all_run()
        members.check(create(nodes.nodes[2], "after"))
