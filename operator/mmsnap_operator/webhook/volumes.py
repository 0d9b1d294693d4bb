"""The two volumes of an injected pod: in one mmsnap-init, in the other the way to the agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.names import CSI_DRIVER
from mmsnap_operator.webhook.refusals import Refusal

BINARY_VOLUME: Final = "mmsnap-bin"
BINARY_FOLDER: Final = "/opt/memverge"
AGENT_VOLUME: Final = "mmsnap"
AGENT_FOLDER: Final = "/run/mmsnap"
# What the agent reads: what owns the pod (empty: nobody), and which containers are members.
_WORKLOAD: Final = "workload"
_CONTAINERS: Final = "containers"

Manifest = dict[str, Any]


def captured_before(pod: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The containers of a pod that was injected before; None: it was not."""
    volume = _named(pod["spec"].get("volumes") or (), AGENT_VOLUME)
    csi = (volume or {}).get("csi") or {}
    if csi.get("driver") != CSI_DRIVER:
        return None
    listed = (csi.get("volumeAttributes") or {}).get(_CONTAINERS, "")
    return tuple(filter(None, listed.split(","))) or None


def with_volumes(
    pod: Mapping[str, Any], workload: str, containers: Sequence[str]
) -> list[Manifest]:
    """The pod's volumes, and ours; Refusal when the names are taken."""
    attributes = {_WORKLOAD: workload, _CONTAINERS: ",".join(containers)}
    csi = {"driver": CSI_DRIVER, "volumeAttributes": attributes}
    volumes: list[Manifest] = list(pod["spec"].get("volumes") or ())
    needed: list[Manifest] = [
        {"name": BINARY_VOLUME, "emptyDir": {}},
        {"name": AGENT_VOLUME, "csi": csi},
    ]
    for ours in needed:
        theirs = _named(volumes, ours["name"])
        if theirs is None:
            volumes.append(ours)
        elif not _covers(theirs, ours):
            raise Refusal(
                f"it has a volume {ours['name']} that is not the one that mmsnap would add: "
                "rename it, or take out what was injected into another pod"
            )
    return volumes


def with_mounts(container: Mapping[str, Any]) -> list[Manifest]:
    """The container's mounts, and ours; Refusal when the places are taken."""
    mounts: list[Manifest] = list(container.get("volumeMounts") or ())
    for volume, folder in ((BINARY_VOLUME, BINARY_FOLDER), (AGENT_VOLUME, AGENT_FOLDER)):
        at_place = [mount for mount in mounts if _inside(mount["mountPath"], folder)]
        if any(mount["name"] != volume or mount.get("subPath") for mount in at_place):
            raise Refusal(
                f"container {container['name']} mounts something of its own at {folder}, which is "
                "mmsnap's place: mount it elsewhere"
            )
        if not at_place:
            read_only = {"readOnly": True} if volume == BINARY_VOLUME else {}
            mounts.append({"name": volume, "mountPath": folder, **read_only})
    return mounts


def _inside(path: str, folder: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder}/")


def _named(items: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((item for item in items if item["name"] == name), None)


def _covers(theirs: Any, ours: Any) -> bool:
    """The same, apart from what the API server fills in."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            key in theirs and _covers(theirs[key], value) for key, value in ours.items()
        )
    return bool(theirs == ours)
