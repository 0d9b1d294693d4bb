"""What a pod is to mmsnap, read from the pod itself: its workload and its members."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.pods.naming import group_of, member_of
from mmsnap_operator.webhook.variables import value_of
from mmsnap_operator.webhook.volumes import captured_before

Manifest = Mapping[str, Any]

_TEMPLATE_HASH: Final = "pod-template-hash"
_ENDED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Owner:
    """What a pod belongs to: what a person made, not the ReplicaSet in between."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class PodMember:
    """A container that is a member.

    Attributes:
        image_id: of what runs; empty while nothing does.
        profile: that the program runs around a cut; empty: none.
    """

    name: str
    pod: str
    container: str
    node: str
    image: str
    image_id: str
    engine: str
    profile: str
    running: bool


def owner_of(pod: Manifest) -> Owner:
    """The workload of a pod; a pod that nobody owns is its own."""
    return controller_of(pod) or Owner("Pod", pod["metadata"]["name"])


def controller_of(pod: Manifest) -> Owner | None:
    """What made a pod, which may have no name yet; None: a person did."""
    metadata = pod["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if not owner.get("controller"):
            continue
        # A Deployment calls its ReplicaSets by its own name and the hash that the pods bear.
        ending = f"-{(metadata.get('labels') or {}).get(_TEMPLATE_HASH, '')}"
        kind, name = str(owner.get("kind")), str(owner["name"])
        if kind == "ReplicaSet" and ending != "-" and name.endswith(ending):
            return Owner("Deployment", name.removesuffix(ending) or name)
        return Owner(kind, name)
    return None


def pod_group(pod: Manifest) -> str:
    """The group of its members."""
    return group_of(pod["metadata"]["namespace"], owner_of(pod).name)


def is_present(pod: Manifest) -> bool:
    """Neither going away nor ended."""
    phase = (pod.get("status") or {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in _ENDED


def runs_since(pod: Manifest, moment: datetime.datetime) -> bool:
    """Whether a container of it that is a member began after this moment."""
    captured = captured_before(pod) or ()
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        began = ((one.get("state") or {}).get("running") or {}).get("startedAt")
        if one["name"] in captured and began and datetime.datetime.fromisoformat(began) > moment:
            return True
    return False


def captured_containers(pod: Manifest) -> list[Manifest]:
    """As its specification has them."""
    captured = captured_before(pod) or ()
    return [one for one in pod["spec"]["containers"] if one["name"] in captured]


def members_of(pod: Manifest) -> tuple[PodMember, ...]:
    """Its members; none: mmsnap has nothing to do with it."""
    captured = captured_before(pod) or ()
    status = pod.get("status") or {}
    states = {one["name"]: one for one in status.get("containerStatuses") or ()}
    containers = {one["name"]: one for one in pod["spec"]["containers"]}
    name = pod["metadata"]["name"]
    return tuple(
        PodMember(
            name=member_of(name, container, place == 0),
            pod=name,
            container=container,
            node=pod["spec"].get("nodeName") or "",
            image=containers[container].get("image", ""),
            image_id=states.get(container, {}).get("imageID") or "",
            engine=value_of(containers[container], "MMSNAP_ENGINE") or "process",
            profile=value_of(containers[container], "MMSNAP_PROFILE") or "",
            running="running" in (states.get(container, {}).get("state") or {}),
        )
        for place, container in enumerate(captured)
        if container in containers
    )
