"""Brings the cluster to what a MemoryMachine asks for, and its status to what the cluster is.

Every run looks at everything anew and applies everything; nothing is remembered between runs. So
what somebody deleted or changed by hand is put right, and it does not matter which event was seen.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator import charge, configuration, credentials, health
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.configuration import Configuration
from mmsnap_operator.deployment import Context, agents_objects, base_objects, etcd_objects
from mmsnap_operator.deployment.agents import COMPONENT as AGENT_COMPONENT
from mmsnap_operator.deployment.etcd import COMPONENT as ETCD_COMPONENT
from mmsnap_operator.etcd_set import apply_set
from mmsnap_operator.names import (
    AGENTS,
    AUTHORITY_SECRET,
    CLIENT_SECRET,
    COMPONENT_LABEL,
    ETCD,
    ETCD_SECRET,
    ETCD_SERVICE,
    MANAGED_BY_LABEL,
    NODE_LABEL,
    NODES_SECRET,
    OPERATOR,
)
from mmsnap_operator.status import status_of
from mmsnap_operator.surroundings import Surroundings

Manifest = dict[str, Any]

_NOT_FOUND: Final = 404
_WEBHOOK: Final = {MANAGED_BY_LABEL: OPERATOR, COMPONENT_LABEL: "webhook"}
_ETCD_OBJECTS: Final = (
    (kinds.STATEFUL_SET, ETCD),
    (kinds.SERVICE, ETCD_SERVICE),
    (kinds.DISRUPTION_BUDGET, ETCD),
    (kinds.SERVICE_ACCOUNT, ETCD),
    (kinds.SECRET, ETCD_SECRET),
)


async def reconcile(api: Api, surroundings: Surroundings, namespace: str, name: str) -> None:
    """One run for one MemoryMachine; what it raises is to be tried again."""
    machines = await api.list(kinds.MEMORY_MACHINE)
    machine = _found(machines, namespace, name)
    if machine is None or machine["metadata"].get("deletionTimestamp"):
        return
    if namespace != surroundings.namespace:
        conditions = health.elsewhere(machine.get("spec") or {}, surroundings.namespace)
        await _tell(api, machine, conditions, {})
        return
    leader = charge.in_charge(machines, namespace)
    if leader is not None and leader["metadata"]["uid"] != machine["metadata"]["uid"]:
        conditions = health.conflict(machine.get("spec") or {}, charge.full_name(leader))
        await _tell(api, machine, conditions, {})
        return
    run = await _Run.prepared(api, surroundings, machine)
    await run.apply_all()
    seen = await run.observe()
    conditions = health.conditions(machine.get("spec") or {}, run.wanted, seen)
    await _tell(api, machine, conditions, status_of(run.wanted, seen, machine))


def context_of(machine: Mapping[str, Any], surroundings: Surroundings) -> Context:
    """The surroundings of a MemoryMachine, as manifests need them."""
    metadata = machine["metadata"]
    return Context(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        kubelet_folder=surroundings.kubelet_folder,
        nri_folder=surroundings.nri_folder,
    )


@dataclass
class _Run:
    """One reconciliation of the MemoryMachine that is in charge."""

    api: Api
    context: Context
    wanted: Configuration
    pull_secret_found: bool | None
    nodes: Sequence[Manifest]

    @classmethod
    async def prepared(cls, api: Api, surroundings: Surroundings, machine: Manifest) -> _Run:
        context = context_of(machine, surroundings)
        wanted = configuration.read(machine.get("spec") or {}, context.namespace)
        found: bool | None = None
        if wanted.pull_secret:
            secret = await api.get(kinds.SECRET, wanted.pull_secret, context.namespace)
            found = secret is not None
        used = wanted.pull_secret if found else ""
        nodes = await api.list(kinds.NODE, labels=NODE_LABEL)
        context = Context(
            context.name,
            context.namespace,
            context.uid,
            used,
            surroundings.kubelet_folder,
            surroundings.nri_folder,
        )
        return cls(api, context, wanted, found, nodes)

    async def apply_all(self) -> None:
        for manifest in base_objects(self.context, self.wanted):
            await self.api.apply(manifest)
        await self._certify()
        if self.wanted.etcd is None:
            await self._remove_etcd()
        for manifest in etcd_objects(self.context, self.wanted):
            if manifest["kind"] == kinds.STATEFUL_SET.name:
                await apply_set(self.api, manifest)
            else:
                await self.api.apply(manifest)
        if await self._may_start_agents():
            for manifest in agents_objects(self.context, self.wanted):
                await self.api.apply(manifest)

    async def observe(self) -> health.Observed:
        """What is there now."""
        api, namespace = self.api, self.context.namespace
        etcd_labels = self.context.selector(ETCD_COMPONENT)
        return health.Observed(
            nodes=self.nodes,
            daemon_set=await api.get(kinds.DAEMON_SET, AGENTS, namespace),
            agents=_lasting(
                await api.list(kinds.POD, namespace, self.context.selector(AGENT_COMPONENT))
            ),
            stateful_set=await api.get(kinds.STATEFUL_SET, ETCD, namespace),
            etcd_pods=_lasting(await api.list(kinds.POD, namespace, etcd_labels)),
            claims=await api.list(kinds.VOLUME_CLAIM, namespace, etcd_labels),
            storage_classes=await api.list(kinds.STORAGE_CLASS),
            pull_secret_found=self.pull_secret_found,
            webhooks=await api.list(kinds.WEBHOOK, labels=_WEBHOOK),
        )

    async def _certify(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        found = await self._secret(AUTHORITY_SECRET)
        authority_secret = credentials.authority_secret(self.context, found, now)
        await self.api.apply(authority_secret)
        authority = credentials.authority_of(authority_secret)
        found = await self._secret(NODES_SECRET)
        nodes = await self._nodes_to_certify(found)
        await self.api.apply(credentials.nodes_secret(self.context, found, authority, nodes, now))
        found = await self._secret(CLIENT_SECRET)
        await self.api.apply(credentials.client_secret(self.context, found, authority, now))
        if self.wanted.etcd is not None:
            found = await self._secret(ETCD_SECRET)
            await self.api.apply(credentials.etcd_secret(self.context, found, authority, now))

    async def _nodes_to_certify(self, found: Manifest | None) -> list[Manifest]:
        """Those with the label, and those that had it: they are to be cleared in the end."""
        had = credentials.nodes_with_certificates(found)
        wanted = [*had, *(node["metadata"]["name"] for node in self.nodes)]
        everywhere = await self.api.list(kinds.NODE)
        return [node for node in everywhere if node["metadata"]["name"] in wanted]

    async def _secret(self, name: str) -> Manifest | None:
        return await self.api.get(kinds.SECRET, name, self.context.namespace)

    async def _remove_etcd(self) -> None:
        """Made before an existing one was named. Its volumes stay: the catalog is in them."""
        for kind, name in _ETCD_OBJECTS:
            found = await self.api.get(kind, name, self.context.namespace)
            if found is not None and is_owned(found, self.context.uid):
                await self.api.delete(kind, name, self.context.namespace)

    async def _may_start_agents(self) -> bool:
        """Agents without etcd would only start again and again; those that run go on without."""
        namespace = self.context.namespace
        if self.wanted.etcd is None or await self.api.get(kinds.DAEMON_SET, AGENTS, namespace):
            return True
        found = await self.api.get(kinds.STATEFUL_SET, ETCD, namespace)
        ready: int = (found or {}).get("status", {}).get("readyReplicas", 0)
        return ready > self.wanted.etcd.replicas // 2


def is_owned(found: Mapping[str, Any], uid: str) -> bool:
    """Whether a MemoryMachine made this object."""
    owners = found["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == uid for owner in owners)


def _found(machines: Sequence[Manifest], namespace: str, name: str) -> Manifest | None:
    for machine in machines:
        if machine["metadata"]["namespace"] == namespace and machine["metadata"]["name"] == name:
            return machine
    return None


def _lasting(pods: Sequence[Manifest]) -> list[Manifest]:
    """Without those that are going away."""
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


async def _tell(
    api: Api,
    machine: Manifest,
    conditions: Sequence[health.Condition],
    observed: Mapping[str, Any],
) -> None:
    """Write the status, if it is another than the one before."""
    before = machine.get("status") or {}
    generation = machine["metadata"]["generation"]
    now = datetime.datetime.now(datetime.UTC)
    told = health.merged(before.get("conditions") or [], conditions, generation, now)
    status = {**observed, "observedGeneration": generation, "conditions": told}
    if all(before.get(key) == value for key, value in status.items()):
        return
    metadata = machine["metadata"]
    try:
        await api.patch(
            kinds.MEMORY_MACHINE,
            metadata["name"],
            metadata["namespace"],
            {"status": status},
            "status",
        )
    except ApiError as error:
        if error.status != _NOT_FOUND:  # deleted meanwhile
            raise
