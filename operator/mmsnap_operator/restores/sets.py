"""A StatefulSet taken to nothing, made anew, and its pods looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.cluster import Api, kinds
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


def is_ready(pod: Manifest) -> bool:
    """Whether its probes say so."""
    told = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)
