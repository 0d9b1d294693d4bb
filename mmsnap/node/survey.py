"""What is asked of all nodes at once: what their pools hold, and what happens there.

Every node is asked for what is its own alone, so questions do not go in circles. One that does not
answer is told as that, with the reason, and keeps nobody from what the others say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

import grpc

from mmsnap.errors import MmsnapError
from mmsnap.node.desk import Desk
from mmsnap.node.events import Event
from mmsnap.node.groups import Groups
from mmsnap.node.mesh import Mesh
from mmsnap.node.replies import event_of
from mmsnap.node.weights import pool_usage
from mmsnap.rpc.failures import error_of
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from mmsnap.store import region_name

_ANSWER_SECONDS: Final = 5.0
# How long until a node that ended is tried again, and until new ones are looked for.
_AGAIN_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0


async def usage_here(groups: Groups) -> pb.GetUsageResponse:
    """What the pool of this node holds."""
    ledger, mesh, pool = groups.desk.ledger, groups.desk.mesh, groups.desk.pool
    usage = await asyncio.to_thread(pool_usage, pool, groups.pids())
    counts: dict[str, int] = {}
    for checkpoint in await ledger.ask(ledger.catalog.checkpoints):
        for part in checkpoint.members:
            name = region_name(checkpoint.group, part.member)
            counts[name] = counts.get(name, 0) + 1
    owners = {
        region_name(row.group, row.name): row for row in await ledger.ask(ledger.catalog.members)
    }
    return pb.GetUsageResponse(
        pool=str(pool),
        pool_size_bytes=usage.size_bytes,
        pool_free_bytes=usage.free_bytes,
        regions=[
            pb.RegionUsage(
                region=name,
                group=owners[name].group if name in owners else "",
                member=owners[name].name if name in owners else "",
                used_bytes=weight.used_bytes,
                checkpoint_count=counts.get(name, 0),
                base_bytes=weight.base_bytes,
                log_bytes=weight.log_bytes,
                delta_bytes=weight.delta_bytes,
                private_bytes=weight.private_bytes,
                node="" if mesh is None else mesh.name,
            )
            for name, weight in sorted(usage.regions.items())
        ],
    )


async def usage_everywhere(groups: Groups) -> pb.GetUsageResponse:
    """The same of all nodes."""
    mesh = groups.desk.mesh
    if mesh is None:
        return await usage_here(groups)
    others = await mesh.others()
    asking = asyncio.gather(*(_usage_of(mesh, node) for node in others))
    here = await usage_here(groups)
    told: dict[str, pb.GetUsageResponse | str] = dict(zip(others, await asking, strict=True))
    merged = pb.GetUsageResponse(
        pool=here.pool, pool_size_bytes=here.pool_size_bytes, pool_free_bytes=here.pool_free_bytes
    )
    for node, usage in sorted({**told, mesh.name: here}.items()):
        if isinstance(usage, str):
            merged.nodes.add(node=node, unreachable=usage)
            continue
        merged.nodes.add(
            node=node,
            pool=usage.pool,
            pool_size_bytes=usage.pool_size_bytes,
            pool_free_bytes=usage.pool_free_bytes,
        )
        merged.regions.extend(usage.regions)
    return merged


async def events_everywhere(desk: Desk, group: str) -> AsyncIterator[Event]:
    """What happens from now on, here and on the other nodes; see `Events.watch`."""
    with desk.events.watcher(group) as watcher:
        following = asyncio.create_task(_follow_all(desk.mesh, group, watcher.tell))
        try:
            async for event in watcher.heard():
                yield event
        finally:
            following.cancel()


async def _usage_of(mesh: Mesh, node: str) -> pb.GetUsageResponse | str:
    """Another node's usage, or why it is not known."""
    try:
        stub = await mesh.stub(node)
        usage: pb.GetUsageResponse = await stub.GetUsage(
            pb.GetUsageRequest(), timeout=_ANSWER_SECONDS
        )
    except (grpc.RpcError, MmsnapError) as error:
        return _reason(error, node)
    return usage


async def _follow_all(mesh: Mesh | None, group: str, tell: Callable[[Event], None]) -> None:
    if mesh is None:
        return
    followed: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            # Without a catalog no new ones are found.
            with suppress(MmsnapError):
                for node in await mesh.others():
                    if node not in followed:
                        followed[node] = asyncio.create_task(_follow(mesh, node, group, tell))
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        for task in followed.values():
            task.cancel()


async def _follow(mesh: Mesh, node: str, group: str, tell: Callable[[Event], None]) -> None:
    """Passes on what another node tells, and that it is lost from sight and back."""
    in_sight = True
    while True:
        reason = "its service ended"
        try:
            stub = await mesh.stub(node)
            async for reply in stub.Watch(pb.WatchRequest(group=group)):
                if reply.kind:
                    tell(event_of(reply, node))
                elif not in_sight:
                    in_sight = True
                    tell(Event("reachable", "", node=node))
        except (grpc.RpcError, MmsnapError) as error:
            reason = _reason(error, node)
        if in_sight:
            in_sight = False
            tell(Event("unreachable", "", text=reason, node=node))
        await asyncio.sleep(_AGAIN_SECONDS)


def _reason(error: Exception, node: str) -> str:
    told = error_of(error, node) if isinstance(error, grpc.RpcError) else error
    return told.message if isinstance(told, MmsnapError) else str(told)
