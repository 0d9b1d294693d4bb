"""A Checkpoint object and its status, made from what the catalog and the pods say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.checkpoints.naming import object_name
from mmsnap_operator.checkpoints.wishes import parts_of
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.names import (
    API_VERSION,
    GROUP_LABEL,
    MANAGED_BY_LABEL,
    OPERATOR,
    REQUEST_LABEL,
    SCHEDULE_LABEL,
)
from mmsnap_operator.requests.ending import as_text
from mmsnap_operator.workloads.pods import Owner, PodMember
from mmsnap_operator.workloads.source import Source
from mmsnap_operator.workloads.template import template_of
from mmsnap_sdk.service_records import GroupCheckpoint

_UNITS: Final = ("Ki", "Mi", "Gi", "Ti")
_LABEL_MAX: Final = 63


def checkpoint_object(
    source: Source | None, namespace: str, owner: Owner, taken: GroupCheckpoint, policy: str
) -> dict[str, Any]:
    """The object; `source` None: the workload is gone, so that only its name is known."""
    labels = {MANAGED_BY_LABEL: OPERATOR, GROUP_LABEL: taken.group}
    for name in (REQUEST_LABEL, SCHEDULE_LABEL):
        value = taken.labels.get(name, "")
        if value and len(value) <= _LABEL_MAX:
            labels[name] = value
    spec: dict[str, Any] = {
        "group": taken.group,
        "epoch": taken.epoch,
        "pinned": taken.pinned,
        "deletionPolicy": policy,
        "template": {"kind": owner.kind, "name": owner.name},
    }
    if source is not None and source.workload:
        spec["template"] = template_of(source.workload)
    return {
        "apiVersion": API_VERSION,
        "kind": "Checkpoint",
        "metadata": {
            "name": object_name(owner.name, taken.name),
            "namespace": namespace,
            "labels": labels,
        },
        "spec": spec,
    }


def measured(taken: GroupCheckpoint) -> dict[str, Any]:
    """What it turned out to be, as a status says it."""
    return {
        "consistency": taken.consistency.capitalize(),
        "durability": taken.durability.capitalize(),
        "pauseMilliseconds": _milliseconds(taken.pause_ns),
        "sizeBytes": taken.bytes_written,
        "size": size_text(taken.bytes_written),
        "memberCount": len(taken.members),
    }


def checkpoint_status(taken: GroupCheckpoint, members: Sequence[PodMember]) -> dict[str, Any]:
    """All of it but the conditions."""
    return {
        "name": taken.name,
        "createdTime": as_text(taken.created),
        **measured(taken),
        "members": _members(taken, {one.name: one for one in members}),
    }


def conditions_of(taken: GroupCheckpoint) -> list[Condition]:
    """Of a checkpoint that the catalog has."""
    consistent = taken.consistency == "application"
    durable = taken.durability != "captured"
    return [
        Condition("Ready", True, "Committed", "all members, at one cut"),
        Condition(
            "Consistent",
            consistent,
            taken.consistency.capitalize(),
            "no update was open and all hooks were done"
            if consistent
            else "one cut for all, but programs were stopped at any instruction",
        ),
        Condition(
            "Durable",
            durable,
            taken.durability.capitalize(),
            "it survives the loss of a node" if durable else "it is on the members' own nodes only",
        ),
    ]


def members_now(told: Sequence[Mapping[str, Any]], taken: GroupCheckpoint) -> list[dict[str, Any]]:
    """A status's members with the nodes that have their bytes by now."""
    copies = {part.member: list(part.copies) for part in parts_of(taken)}
    return [{**row, "copies": copies.get(row["member"], row.get("copies", []))} for row in told]


def size_text(size_bytes: int) -> str:
    """A size for people."""
    size, unit = float(size_bytes), ""
    for bigger in _UNITS:
        if size < 1024:
            break
        size, unit = size / 1024, bigger
    return f"{size:.1f}{unit}" if unit else str(size_bytes)


def _members(taken: GroupCheckpoint, pods: Mapping[str, PodMember]) -> list[dict[str, Any]]:
    told = []
    for part in parts_of(taken):
        row: dict[str, Any] = {
            "member": part.member,
            "engine": part.engine,
            "consistency": "Crash" if part.crash_only else "Application",
            "pauseMilliseconds": _milliseconds(part.pause_ns),
            "bytes": part.bytes_written,
            "epoch": taken.epoch,
            "copies": list(part.copies),
        }
        pod = pods.get(part.member)
        if pod is not None:
            row |= {
                "pod": pod.pod,
                "container": pod.container,
                "image": pod.image,
                "imageID": pod.image_id,
            }
        node = part.node or (pod.node if pod is not None else "")
        told.append({**row, "node": node} if node else row)
    return told


def _milliseconds(duration_ns: int) -> int:
    """Rounded up: what stood still stood still."""
    return -(-duration_ns // 10**6)
