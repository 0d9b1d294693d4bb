"""What unmodified programs on several nodes have to know of each other before they are restored.

Which connections of a checkpoint are the group's own, and where the other ends will be, a program
learns from the pool it is in. So whoever coordinates asks each node with programs where these are,
and tells each what the others said. It does so in the group's turn on all nodes and before the
first order: nothing is said while somebody stands still. What is made of it is the engine's.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmsnap.catalog import EngineKind
from mmsnap.node.mesh import Mesh
from mmsnap.node.perform import Participant
from mmsnap.process.whereabouts import Whereabouts, note_elsewhere, of_member


async def acquaint(
    pool: Path, mesh: Mesh | None, group: str, seats: Iterable[Participant], epoch: int
) -> None:
    """Makes the programs in these seats known to each other, with their parts of an epoch.

    Needs the whole turn.

    Raises:
        AgentUnavailableError: a node does not answer. CorruptionError: a part can not be read.
    """
    here = mesh.name if mesh is not None else ""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for seat in seats:
        if seat.engine is EngineKind.PROCESS:
            members[seat.home[0]].append(seat.name)

    async def locate(node: str) -> list[Whereabouts]:
        if mesh is None or node == here:
            return await asyncio.to_thread(locate_here, pool, group, members[node], epoch)
        return await mesh.locate(node, group, members[node], epoch)

    async def tell(node: str) -> None:
        others = [
            w for other, all_ in zip(nodes, located, strict=True) if other != node for w in all_
        ]
        if mesh is None or node == here:
            await asyncio.to_thread(note_elsewhere, pool, group, others)
        else:
            await mesh.acquaint(node, group, others)

    nodes = sorted(members)
    located = await asyncio.gather(*map(locate, nodes)) if len(nodes) > 1 else [[]] * len(nodes)
    await asyncio.gather(*map(tell, nodes))


def locate_here(pool: Path, group: str, members: Sequence[str], epoch: int) -> list[Whereabouts]:
    """Where programs of this node are. Blocks."""
    return [of_member(pool, group, member, epoch) for member in members]
