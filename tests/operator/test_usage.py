"""What the status tells of nodes' pools: whose they are, and never too much for one object."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mmsnap_operator.schema import status
from mmsnap_operator.usage import FIELDS, nodes_status
from mmsnap_sdk.service_records import Member, NodeUsage, PoolUsage, RegionShare

_ETCD_MAX_BYTES = 1_500_000
_NODE = NodeUsage("n1", "/pool", 1 << 30, 1 << 29)


def share(node: str, number: int, used_bytes: int) -> RegionShare:
    name = f"web-{number}"
    return RegionShare(f"demo--web.{name}", "demo--web", name, used_bytes, 2, 0, 0, 0, 0, node)


def member(node: str, number: int) -> Member:
    name = f"web-{number}"
    return Member(
        "demo--web", name, f"demo--web.{name}", "attached", "rollback", None, 0, None, node=node
    )


def usage(*shares: RegionShare, nodes: tuple[NodeUsage, ...] = (_NODE,)) -> PoolUsage:
    return PoolUsage("/pool", 0, 0, shares, nodes)


def test_pool_is_told_of_the_node_that_has_it() -> None:
    lost = NodeUsage("n2", "", 0, 0, "connection refused")
    told = nodes_status(
        usage(share("n1", 0, 5), share("n1", 1, 7), share("n3", 2, 9), nodes=(_NODE, lost)),
        [member("n1", 0), member("n1", 1), member("n2", 2)],
    )
    assert [one["name"] for one in told] == ["n1", "n2"]
    assert told[0]["usedBytes"] == 1 << 29
    assert told[0]["memberCount"] == 2
    assert [region["member"] for region in told[0]["regions"]] == ["web-1", "web-0"]
    assert told[1] == {"name": "n2", "unreachable": "connection refused"}


@pytest.mark.parametrize("count", [1, 60, 200])
def test_many_regions_make_an_object_that_etcd_refuses(count: int) -> None:
    """Of names that are as long as they may be, on so many nodes."""
    nodes = tuple(NodeUsage(f"n{number}".ljust(63, "x"), "/pool", 1, 0) for number in range(count))
    long = [replace(share("", number, number), group="g" * 63) for number in range(500)]
    shares = [
        replace(one, node=node.node, member=one.member.ljust(63, "x"), used_bytes=1 << 40 | n)
        for node in nodes
        for n, one in enumerate(long)
    ]
    told = nodes_status(usage(*shares, nodes=nodes), [])
    assert len(json.dumps(told)) < _ETCD_MAX_BYTES
    assert told[-1]["regions"][0]["member"].startswith("web-499")
    assert told[-1]["regionsLeftOut"] == 500 - len(told[-1]["regions"])


def test_field_that_the_definition_does_not_have_would_be_pruned() -> None:
    known = status()["properties"]
    assert set(FIELDS) <= set(known)
    node = known["nodes"]["items"]["properties"]
    (told,) = nodes_status(usage(*(share("n1", number, 1) for number in range(200))), [])
    assert set(told) <= set(node)
    assert set(told["regions"][0]) <= set(node["regions"]["items"]["properties"])
