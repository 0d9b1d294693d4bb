"""Writes what the nodes' pools hold into the status of the MemoryMachine, for whoever may read it.

The agents know it, but the way to them is over mutual TLS, or through the API server's proxy with a
right that reaches every port of a node. A person who may look at the MemoryMachine needs neither.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from mmsnap.errors import MmsnapError
from mmsnap_operator import charge
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.service import Agents
from mmsnap_sdk.service_records import Member, NodeUsage, PoolUsage, RegionShare

log = logging.getLogger(__name__)

FIELDS: Final = ("nodes", "usageTime")  # of the status
_PACE_SECONDS: Final = 10.0
# What etcd takes of one object is limited: so many of the largest regions of a node are told, and
# fewer where there are many nodes.
_REGIONS_MAX: Final = 128
_REGIONS_OF_ALL_MAX: Final = 6000
_TROUBLE: Final = (ApiError, MmsnapError, aiohttp.ClientError, TimeoutError)


class UsageReport:
    """Of the MemoryMachine that is in charge; `namespace` is the operator's."""

    def __init__(self, api: Api, agents: Agents, namespace: str) -> None:
        """Nobody is asked yet."""
        self._api = api
        self._agents = agents
        self._namespace = namespace

    async def keep(self) -> None:
        """Look and write until cancelled; what did not change too, with the time it was seen."""
        while True:
            try:
                await self._write()
            except _TROUBLE as error:
                log.info("the nodes' usage is not known: %s", error)
            except Exception:
                # A defect here must not end what people take for the present usage.
                log.exception("the nodes' usage is not written")
            await asyncio.sleep(_PACE_SECONDS)

    async def _write(self) -> None:
        machines = await self._api.list(kinds.MEMORY_MACHINE, self._namespace)
        machine = charge.in_charge(machines, self._namespace)
        if machine is None or machine["metadata"].get("deletionTimestamp"):
            return
        if not (machine.get("status") or {}).get("nodesReady"):
            return
        nodes = nodes_status(
            await self._agents.ask(lambda client: client.usage()),
            await self._agents.ask(lambda client: client.members()),
        )
        now = datetime.datetime.now(datetime.UTC)
        told = dict(zip(FIELDS, (nodes, now.strftime("%Y-%m-%dT%H:%M:%SZ")), strict=True))
        await self._api.patch(
            kinds.MEMORY_MACHINE,
            machine["metadata"]["name"],
            self._namespace,
            {"status": told},
            "status",
        )


def nodes_status(usage: PoolUsage, members: Sequence[Member]) -> list[dict[str, Any]]:
    """What the status says of each node: its pool, its members, and its largest regions."""
    counts = Counter(member.node for member in members)
    shares: dict[str, list[RegionShare]] = {}
    for share in usage.regions:
        shares.setdefault(share.node, []).append(share)
    most = min(_REGIONS_MAX, _REGIONS_OF_ALL_MAX // max(len(usage.nodes), 1))
    return [_node(node, shares.get(node.node, []), counts, most) for node in usage.nodes]


def _node(
    node: NodeUsage, shares: Sequence[RegionShare], members: Mapping[str, int], most: int
) -> dict[str, Any]:
    if node.unreachable:
        return {"name": node.node, "unreachable": node.unreachable}
    largest = sorted(shares, key=lambda share: (-share.used_bytes, share.region))
    told: dict[str, Any] = {
        "name": node.node,
        "pool": node.pool,
        "sizeBytes": node.size_bytes,
        "freeBytes": node.free_bytes,
        "usedBytes": node.size_bytes - node.free_bytes,
        "memberCount": members.get(node.node, 0),
        "regions": [_region(share) for share in largest[:most]],
    }
    if len(largest) > most:
        told["regionsLeftOut"] = len(largest) - most
    return told


def _region(share: RegionShare) -> dict[str, Any]:
    return {
        "group": share.group,
        "member": share.member,
        "usedBytes": share.used_bytes,
        "checkpointCount": share.checkpoint_count,
    }
