"""A StatefulSet taken to nothing, made anew, and its pods looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap.pods.naming import group_of, member_of
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.health.pods import is_ready
from mmsnap_operator.names import REQUEST_LABEL
from mmsnap_operator.workloads.pods import Owner, is_present, owner_of

Manifest = Mapping[str, Any]

_SET: Final = kinds.STATEFUL_SET


async def live_set(api: Api, namespace: str, name: str) -> dict[str, Any] | None:
    """The set as it is now; None: there is none, or it is going away."""
    found = await api.get(_SET, name, namespace)
    if found is None or found["metadata"].get("deletionTimestamp"):
        return None
    return {"apiVersion": _SET.api_version, "kind": _SET.name, **found}


async def set_of_group(api: Api, namespace: str, group: str) -> Manifest | None:
    """The set whose members the group's are; None: there is none, or it is going away."""
    for one in await api.list(_SET, namespace):
        metadata = one["metadata"]
        if group_of(namespace, metadata["name"]) == group:
            return None if metadata.get("deletionTimestamp") else one
    return None


async def scale(api: Api, namespace: str, name: str, replicas: int) -> None:
    """Let the set have so many pods."""
    await api.patch(_SET, name, namespace, {"spec": {"replicas": replicas}})


async def make(api: Api, wanted: dict[str, Any], request: str) -> None:
    """A set of ours, by the UID of the request that it is made for."""
    notes = wanted["metadata"].setdefault("annotations", {})
    notes[REQUEST_LABEL] = request
    await api.create(wanted)


def is_made_for(found: Manifest, request: str) -> bool:
    """Whether a set was made for this request."""
    return (found["metadata"].get("annotations") or {}).get(REQUEST_LABEL) == request


async def pods_of(api: Api, namespace: str, name: str) -> list[Manifest]:
    """All pods of the set, also those that are going away."""
    owner = Owner(_SET.name, name)
    return [pod for pod in await api.list(kinds.POD, namespace) if owner_of(pod) == owner]


def unready(pods: list[Manifest], wanted: int) -> list[str]:
    """Which of the pods that are wanted are not ready, or not there."""
    names = [pod["metadata"]["name"] for pod in pods if not (is_present(pod) and is_ready(pod))]
    there = sum(is_present(pod) for pod in pods)
    return names + [f"{wanted - there} more"] * (there < wanted)


def pods_of_members(
    members: Sequence[str], rows: Sequence[Manifest], workload: Manifest
) -> set[str]:
    """The pods that have these members; what is a member of no pod of the set is left out.

    Args:
        rows: what the Checkpoint tells of them; one that a schedule of the agents took tells
            nothing, and then the names have to do.
    """
    known = {row["member"]: row["pod"] for row in rows if row.get("pod")}
    if not all(member in known for member in members):
        known = {**_named_members(workload, len(members)), **known}
    return {known[member] for member in members if member in known}


def _named_members(workload: Manifest, count: int) -> dict[str, str]:
    """What members of the first pods of a set are called."""
    spec = workload["spec"]
    containers = [one["name"] for one in spec["template"]["spec"]["containers"]]
    first = (spec.get("ordinals") or {}).get("start", 0)
    names: dict[str, str] = {}
    for number in range(first, first + count):
        pod = f"{workload['metadata']['name']}-{number}"
        names[member_of(pod, "", True)] = pod
        names |= {member_of(pod, container, False): pod for container in containers}
    return names
