"""What a checkpoint's copies are worth: how many nodes could be lost without losing it.

Worked out anew whenever it is told: a node that is lost takes its copies with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from mmsnap.catalog.records import Copies, GroupCheckpoint, NodeRecord


def complete_copies(
    checkpoint: GroupCheckpoint, copies: Copies | None, nodes: Mapping[str, NodeRecord]
) -> int:
    """On how many nodes that are not down the member with the fewest copies has its part."""
    if copies is None:
        return 0
    holders = (holding(copies.nodes.get(part.member, ()), nodes) for part in checkpoint.members)
    return min((len(nodes) for nodes in holders), default=0)


def holding(names: Collection[str], nodes: Mapping[str, NodeRecord]) -> list[str]:
    """Those of the names that are nodes and not down, in order."""
    return sorted(name for name in names if name in nodes and not nodes[name].down)


def durability(
    checkpoint: GroupCheckpoint, copies: Copies | None, nodes: Mapping[str, NodeRecord]
) -> Literal["captured", "replicated"]:
    """Replicated while as many copies as were asked for, at least one, are beside the first."""
    wanted = 1 + max(checkpoint.replicas, 1)
    return "replicated" if complete_copies(checkpoint, copies, nodes) >= wanted else "captured"
