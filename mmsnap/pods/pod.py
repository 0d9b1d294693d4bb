"""A pod that lives on this node, as the kubelet told it; written down for after a restart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mmsnap.errors import UnsupportedError
from mmsnap.pods.naming import group_of, member_of
from mmsnap.store import region_name

# What the kubelet says of itself about a pod whose driver asked for it (podInfoOnMount).
_UID: Final = "csi.storage.k8s.io/pod.uid"
_NAME: Final = "csi.storage.k8s.io/pod.name"
_NAMESPACE: Final = "csi.storage.k8s.io/pod.namespace"
# What the volume in the pod's manifest says; anybody may write that.
_WORKLOAD: Final = "workload"
_CONTAINERS: Final = "containers"
_SAFE_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True)
class Pod:
    """What is known of a pod.

    Attributes:
        workload: what owns it, in its namespace: members of one workload are one group.
        containers: those that may be members.
        volume: the number the kubelet gave to its volume; target: where it wants it.
    """

    uid: str
    namespace: str
    name: str
    workload: str
    containers: tuple[str, ...]
    volume: str
    target: str

    @cached_property
    def group(self) -> str:
        return group_of(self.namespace, self.workload)

    @cached_property
    def members(self) -> tuple[str, ...]:
        return tuple(
            member_of(self.name, container, place == 0)
            for place, container in enumerate(self.containers)
        )

    @property
    def regions(self) -> list[str]:
        return [region_name(self.group, member) for member in self.members]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def pod_of(volume: str, target: str, context: Mapping[str, str]) -> Pod:
    """The pod that a volume is for; UnsupportedError when the kubelet did not say which."""
    missing = [key for key in (_UID, _NAME, _NAMESPACE) if not context.get(key)]
    if missing or not _SAFE_UID.fullmatch(context[_UID]):
        raise UnsupportedError(
            f"the kubelet did not say which pod volume {volume} is for",
            subject=volume,
            hint="its CSIDriver object needs podInfoOnMount: true",
        )
    name = context[_NAME]
    containers = tuple(filter(None, context.get(_CONTAINERS, "").split(",")))
    return Pod(
        uid=context[_UID],
        namespace=context[_NAMESPACE],
        name=name,
        workload=context.get(_WORKLOAD) or name,
        containers=containers or ("",),
        volume=volume,
        target=target,
    )


def write(pod: Pod, file: Path) -> None:
    """Whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(pod)))
    fresh.replace(file)


def read(file: Path) -> Pod:
    """ValueError: it says something else than `write` wrote."""
    told: dict[str, Any] = json.loads(file.read_text())
    try:
        return Pod(**{**told, "containers": tuple(told["containers"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} does not describe a pod: {error!r}") from error
