"""Takes away everything that a MemoryMachine made, in an order that loses no checkpoint.

Agents first, so that nothing writes any more; then each node is cleared by a pod, which reports
whether checkpoints are left; then the rest. The catalog of checkpoints is in etcd's volumes: they
stay as long as a node has checkpoints, or may have. Every wait has an end, and what could not be
done is told in an event: a deletion never hangs.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mmsnap_operator import charge, configuration, credentials
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.cluster.events import announce
from mmsnap_operator.deployment import Context, clearing
from mmsnap_operator.deployment.agents import COMPONENT as AGENT_COMPONENT
from mmsnap_operator.deployment.etcd import COMPONENT as ETCD_COMPONENT
from mmsnap_operator.health.pods import is_ready, trouble
from mmsnap_operator.names import (
    AGENTS,
    AUTHORITY_SECRET,
    CLIENT_SECRET,
    CONFIGURATION,
    CSI_DRIVER,
    ETCD,
    ETCD_SECRET,
    ETCD_SERVICE,
    NODES_SECRET,
    OWED_DELETIONS,
)
from mmsnap_operator.reconciliation import context_of, is_owned
from mmsnap_operator.surroundings import Surroundings

log = logging.getLogger(__name__)

Manifest = dict[str, Any]

_AGENTS_END_SECONDS: Final = 90.0
_CLEARED_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 1.0
_SILENT: Final = "does not answer, so it is as it was: when it is back, mmsnap node clear"
_OBJECTS: Final = (
    (kinds.DISRUPTION_BUDGET, ETCD),
    (kinds.STATEFUL_SET, ETCD),
    (kinds.SERVICE, ETCD_SERVICE),
    (kinds.SERVICE_ACCOUNT, ETCD),
    (kinds.SERVICE_ACCOUNT, AGENTS),
    (kinds.CONFIG_MAP, CONFIGURATION),
    (kinds.SECRET, ETCD_SECRET),
    (kinds.SECRET, CLIENT_SECRET),
    (kinds.SECRET, NODES_SECRET),
    (kinds.SECRET, AUTHORITY_SECRET),
)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What became of a node: checkpoints that were kept there; None: nobody could look."""

    node: str
    kept: int | None
    words: str


async def remove(api: Api, surroundings: Surroundings, machine: Manifest) -> None:
    """All of it; ApiError when the API server can not be reached."""
    context = context_of(machine, surroundings)
    if not await _was_in_charge(api, surroundings, machine):
        return
    wanted = configuration.read(machine.get("spec") or {}, context.namespace)
    reports = await _clear_nodes(api, context, wanted)
    # Agents that never served made no checkpoints, so nobody has to look for any.
    served = "image" in (machine.get("status") or {})
    kept = [report for report in reports if report.kept or (report.kept is None and served)]
    for kind, name in _OBJECTS:
        await _delete_own(api, context, kind, name)
    await api.delete(kinds.CSI_DRIVER, CSI_DRIVER)
    await _wait(lambda: _pods_gone(api, context, ETCD_COMPONENT), _AGENTS_END_SECONDS)
    if not kept:
        await _delete_claims(api, context)
        # It speaks of the catalog that was in them.
        await api.delete(kinds.CONFIG_MAP, OWED_DELETIONS, context.namespace)
    for report in kept:
        await _tell(api, machine, report)


async def _was_in_charge(api: Api, surroundings: Surroundings, machine: Manifest) -> bool:
    """One that was never in charge made nothing."""
    machines = await api.list(kinds.MEMORY_MACHINE)
    leader = charge.in_charge(machines, surroundings.namespace)
    return leader is not None and leader["metadata"]["uid"] == machine["metadata"]["uid"]


async def _clear_nodes(
    api: Api, context: Context, wanted: configuration.Configuration
) -> list[NodeReport]:
    await _delete_own(api, context, kinds.DAEMON_SET, AGENTS)
    await _wait(lambda: _pods_gone(api, context, AGENT_COMPONENT), _AGENTS_END_SECONDS)
    secret = await api.get(kinds.SECRET, NODES_SECRET, context.namespace)
    certified = set(credentials.nodes_with_certificates(secret))
    nodes = [node for node in await api.list(kinds.NODE) if _name(node) in certified]
    secret_used = wanted.pull_secret
    if secret_used and await api.get(kinds.SECRET, secret_used, context.namespace):
        context = replace(context, pull_secret=secret_used)
    clearings = [
        _clear_node(api, clearing.pod(context, wanted.image, wanted.shared_folder, _name(node)))
        for node in nodes
        if is_ready(node)
    ]
    silent = [NodeReport(_name(node), None, _SILENT) for node in nodes if not is_ready(node)]
    return [*await asyncio.gather(*clearings), *silent]


async def _clear_node(api: Api, pod: Manifest) -> NodeReport:
    """Run the pod to its end, and take it away."""
    node, name = pod["spec"]["nodeName"], pod["metadata"]["name"]
    namespace = pod["metadata"]["namespace"]
    try:
        await api.delete(kinds.POD, name, namespace)  # of a run before that was interrupted
        await _wait(lambda: _is_gone(api, kinds.POD, name, namespace), _CLEARED_SECONDS)
        await api.create(pod)
    except ApiError as error:
        return NodeReport(node, None, f"could not be cleared: {error}")
    ended: Manifest | None = None

    async def is_over() -> bool:
        nonlocal ended
        ended = await api.get(kinds.POD, name, namespace)
        return ended is None or _phase(ended) in ("Succeeded", "Failed") or _is_stuck(ended)

    await _wait(is_over, _CLEARED_SECONDS)
    report = _report(node, ended)
    await api.delete(kinds.POD, name, namespace)
    await _wait(lambda: _is_gone(api, kinds.POD, name, namespace), _AGENTS_END_SECONDS)
    return report


def _report(node: str, pod: Manifest | None) -> NodeReport:
    if pod is None:
        return NodeReport(node, None, "could not be cleared: the pod is gone")
    for status in pod.get("status", {}).get("containerStatuses", []):
        ended = status.get("state", {}).get("terminated") or {}
        try:
            told = json.loads(ended.get("message") or "")
            return NodeReport(node, int(told["kept"]), str(told["message"]))
        except (ValueError, KeyError, TypeError):
            continue
    found = trouble(pod)
    words = found.words if found else f"its pod did not end within {_CLEARED_SECONDS:.0f} seconds"
    return NodeReport(node, None, f"could not be cleared: {words}")


def _name(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def _phase(pod: Mapping[str, Any]) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _is_stuck(pod: Mapping[str, Any]) -> bool:
    """Whether its image is not there, and so will not be."""
    found = trouble(pod)
    return found is not None and found.reason == "ImageNotPulled"


async def _pods_gone(api: Api, context: Context, component: str) -> bool:
    """Those of nodes that do not answer are not waited for."""
    pods = await api.list(kinds.POD, context.namespace, context.selector(component))
    if not pods:
        return True
    answering = {_name(node) for node in await api.list(kinds.NODE) if is_ready(node)}
    return not any(pod["spec"].get("nodeName") in answering for pod in pods)


async def _is_gone(api: Api, kind: kinds.Kind, name: str, namespace: str) -> bool:
    return await api.get(kind, name, namespace) is None


async def _wait(done: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Until it is done, or the time is over."""
    end = asyncio.get_running_loop().time() + seconds
    while not await done():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def _delete_own(api: Api, context: Context, kind: kinds.Kind, name: str) -> None:
    found = await api.get(kind, name, context.namespace)
    if found is not None and is_owned(found, context.uid):
        await api.delete(kind, name, context.namespace)


async def _delete_claims(api: Api, context: Context) -> None:
    labels = context.selector(ETCD_COMPONENT)
    for claim in await api.list(kinds.VOLUME_CLAIM, context.namespace, labels):
        await api.delete(kinds.VOLUME_CLAIM, claim["metadata"]["name"], context.namespace)


async def _tell(api: Api, machine: Manifest, report: NodeReport) -> None:
    """In an event, which outlives the MemoryMachine for a while, and in the log."""
    words = f"node {report.node}: {report.words}"
    log.warning("%s", words)
    known = report.kept is not None
    reason = "CheckpointsKept" if known else "NodeNotCleared"
    await announce(api, machine, reason, words, warning=not known)
