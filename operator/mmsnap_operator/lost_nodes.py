"""Tells the agents of a node that is shut off, so that its members may come back elsewhere.

That a node is silent proves nothing: its pods may still run. Kubernetes has a word for it, the
taint out-of-service, by which people and fencing controllers vouch that the machine is off; its
pods and volumes are given away then, and so are members here. A node that is only silent is left
alone, and one that has the taint and answers is told of, and left alone too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from mmsnap.errors import AbortedError, AgentUnavailableError, MmsnapError
from mmsnap_operator import charge
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.cluster.events import announce
from mmsnap_operator.names import API_VERSION, KIND
from mmsnap_operator.requests.ending import condition
from mmsnap_operator.service import Agents

log = logging.getLogger(__name__)

TAINT: Final = "node.kubernetes.io/out-of-service"
_PACE_SECONDS: Final = 5.0
_TROUBLE: Final = (ApiError, MmsnapError, aiohttp.ClientError, TimeoutError)


class LostNodes:
    """Of one operator; `namespace` is its own."""

    def __init__(self, api: Api, agents: Agents, namespace: str) -> None:
        """Nobody is asked yet."""
        self._api = api
        self._agents = agents
        self._namespace = namespace
        self._refused: dict[str, str] = {}

    async def keep(self) -> None:
        """Look and tell until cancelled."""
        while True:
            try:
                await self._look()
            except _TROUBLE as error:
                log.warning("nodes that are shut off are not told of: %s", error)
            except Exception:
                # A defect here must not end what brings members back.
                log.exception("nodes that are shut off are not told of")
            await asyncio.sleep(_PACE_SECONDS)

    async def _look(self) -> None:
        shut = shut_off(await self._api.list(kinds.NODE))
        self._refused = {name: why for name, why in self._refused.items() if name in shut}
        if not shut:
            return
        known = await self._agents.ask(lambda client: client.nodes())
        members = await self._agents.ask(lambda client: client.members())
        unnoted = {one.node for one in members if one.state == "attached"}
        for node in known:
            # What one that is down lost may not all be noted: a group was busy.
            if node.name in shut and (not node.down or node.name in unnoted):
                await self._tell(node.name)

    async def _tell(self, name: str) -> None:
        try:
            await self._agents.ask(lambda client: client.declare_node_down(name, force=True))
        except AgentUnavailableError:
            raise  # nobody said anything of the node
        except MmsnapError as error:
            if self._refused.get(name) != error.message:
                self._refused[name] = error.message
                busy = isinstance(error, AbortedError)
                reason = "NodeLossesUnnoted" if busy else "NodeNotDown"
                await self._announce(reason, f"{error.message}: it has the taint {TAINT}")
            return
        await self._announce("NodeDown", f"node {name} is shut off: its members may come elsewhere")

    async def _announce(self, reason: str, message: str) -> None:
        log.warning("%s: %s", reason, message)
        machines = await self._api.list(kinds.MEMORY_MACHINE, self._namespace)
        machine = charge.in_charge(machines, self._namespace)
        if machine is not None:
            about = {"apiVersion": API_VERSION, "kind": KIND, **machine}
            await announce(self._api, about, reason, message, warning=True)


def shut_off(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of the nodes that somebody vouched for, and that are not Ready either."""
    return {
        node["metadata"]["name"]
        for node in nodes
        if any(taint["key"] == TAINT for taint in node["spec"].get("taints") or ())
        and condition(node, "Ready").get("status") != "True"
    }
