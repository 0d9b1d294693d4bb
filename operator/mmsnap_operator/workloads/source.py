"""The pods that a request is about: found by their workload or by labels, and all of one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.pods.naming import group_of
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.workloads.pods import Owner, PodMember, is_present, members_of, owner_of
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.selectors import matches

Manifest = Mapping[str, Any]

KINDS: Final = {
    "StatefulSet": kinds.STATEFUL_SET,
    "Deployment": kinds.DEPLOYMENT,
    "ReplicaSet": kinds.REPLICA_SET,
    "DaemonSet": kinds.DAEMON_SET,
    "Job": kinds.JOB,
    "Pod": kinds.POD,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A workload as it is now.

    Attributes:
        workload: its manifest; of a kind that the operator does not know, an empty one.
        pods: those that are neither going away nor ended.
    """

    namespace: str
    owner: Owner
    workload: Manifest
    pods: Sequence[Manifest]

    @property
    def group(self) -> str:
        return group_of(self.namespace, self.owner.name)

    @property
    def members(self) -> tuple[PodMember, ...]:
        return tuple(member for pod in self.pods for member in members_of(pod))


async def find_source(api: Api, namespace: str, wanted: Manifest) -> Source:
    """The source of a specification ({kind, name} or {selector}); Refused, ApiError."""
    everything = await api.list(kinds.POD, namespace)
    if "selector" in wanted:
        owner = selected_owner(everything, wanted["selector"])
    else:
        owner = Owner(wanted["kind"], wanted["name"])
    return Source(
        namespace,
        owner,
        await _workload(api, namespace, owner),
        [pod for pod in everything if is_present(pod) and owner_of(pod) == owner],
    )


def selected_owner(pods: Sequence[Manifest], selector: Manifest) -> Owner:
    """The one workload that the selected pods belong to; Refused."""
    chosen = [
        pod
        for pod in pods
        if is_present(pod) and matches(selector, pod["metadata"].get("labels") or {})
    ]
    owners = {owner_of(pod) for pod in chosen}
    if not owners:
        raise Refused("NoPods", "no pod here has the labels of the selector", lasting=False)
    if len(owners) > 1:
        names = ", ".join(sorted(f"{owner.kind} {owner.name}" for owner in owners))
        raise Refused(
            "SeveralWorkloads",
            f"the selector selects pods of {names}: members of one workload are checkpointed "
            "together, so make a request for each",
        )
    return owners.pop()


def require_members(source: Source) -> None:
    """Refused, unless every pod is there and has members that run."""
    owner = source.owner
    if not source.pods:
        raise Refused("NoPods", f"{owner.kind} {owner.name} has no pod", lasting=False)
    for pod in source.pods:
        name = pod["metadata"]["name"]
        members = members_of(pod)
        if not members:
            raise Refused(
                "NotInjected",
                f"pod {name} is not under mmsnap: annotate the pods of {owner.kind} {owner.name} "
                "with memory-machine.memverge.com/inject-env, and label the namespace with "
                "memverge=enabled",
            )
        for member in members:
            if not member.running:
                raise Refused(
                    "PodsNotRunning",
                    f"container {member.container} of pod {name} does not run",
                    lasting=False,
                )
    wanted = _wanted_pods(source.workload)
    if wanted is not None and len(source.pods) < wanted:
        raise Refused(
            "PodsMissing",
            f"{owner.kind} {owner.name} is to have {wanted} pods and has {len(source.pods)}",
            lasting=False,
        )


def _wanted_pods(workload: Manifest) -> int | None:
    if workload.get("kind") not in ("StatefulSet", "Deployment", "ReplicaSet"):
        return None
    return int(workload["spec"].get("replicas", 1))


async def _workload(api: Api, namespace: str, owner: Owner) -> Manifest:
    kind = KINDS.get(owner.kind)
    if kind is None:
        return {}
    found = await api.get(kind, owner.name, namespace)
    if found is None:
        raise Refused(
            "WorkloadNotFound", f"there is no {owner.kind} {owner.name} in namespace {namespace}"
        )
    return {"apiVersion": kind.api_version, "kind": kind.name, **found}
