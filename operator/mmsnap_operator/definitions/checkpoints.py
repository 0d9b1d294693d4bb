"""Checkpoint: a checkpoint that exists; outlives the request that made it and the workload."""

from __future__ import annotations

from typing import Final

from mmsnap_operator.cluster.kinds import CHECKPOINT
from mmsnap_operator.definitions.checkpointrequests import measured, measured_columns
from mmsnap_operator.definitions.definition import (
    AGE,
    CONDITIONS,
    COUNT,
    FLAG,
    INSTANT,
    NAME,
    TEXT,
    Schema,
    choice,
    column,
    condition_columns,
    definition,
    message_column,
    rule,
    struct,
    told,
)

_KEPT: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}
_TEMPLATE: Final[Schema] = struct(
    {
        "apiVersion": TEXT,
        "kind": TEXT,
        "name": TEXT,
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "spec": _KEPT,
    },
    required=["kind", "name"],
    about="the workload as it was, to make it anew from",
)
_MEMBER: Final[Schema] = struct(
    {
        "pod": TEXT,
        "container": TEXT,
        "member": told(TEXT, "what it is called in the agents' catalog"),
        "node": told(TEXT, "where it was captured"),
        "image": TEXT,
        "imageID": told(TEXT, "the image that it ran; a program is restored into no other"),
        "engine": TEXT,
        "consistency": TEXT,
        "pauseMilliseconds": COUNT,
        "bytes": {**COUNT, "format": "int64"},
        "epoch": {**COUNT, "format": "int64"},
        "copies": told({"type": "array", "items": TEXT}, "the nodes that have its bytes"),
    }
)


def checkpoints() -> Schema:
    """The definition."""
    spec = struct(
        {
            "group": told(NAME, "the group in the agents' catalog"),
            "epoch": told({**COUNT, "format": "int64"}, "the number of the cut in its group"),
            "pinned": told(FLAG, "keep it from being pruned", default=False),
            "deletionPolicy": told(
                choice("Retain", "Delete"),
                "what becomes of the bytes when this object is deleted",
                default="Retain",
            ),
            "allowedNamespaces": told(
                {"type": "array", "items": NAME, "maxItems": 256, "x-kubernetes-list-type": "set"},
                "other namespaces that may restore it",
            ),
            "template": _TEMPLATE,
        },
        required=["group", "epoch"],
        rules=[
            rule(
                f"has(self.{name}) == has(oldSelf.{name}) && "
                f"(!has(self.{name}) || self.{name} == oldSelf.{name})",
                f"{name} says which checkpoint this is, and can not be changed",
            )
            for name in ("group", "epoch", "template")
        ],
    )
    status = struct(
        {
            "name": told(TEXT, "what it is called in the agents' catalog"),
            "createdTime": told(INSTANT, "of the cut"),
            **measured(),
            "conditions": CONDITIONS,
            "members": {"type": "array", "items": _MEMBER},
        }
    )
    columns = [
        *condition_columns("Ready", called="Ready"),
        *measured_columns(),
        AGE,
        column("Durability", ".status.durability", wide=True),
        column("Pinned", ".spec.pinned", "boolean", wide=True),
        message_column("Ready"),
    ]
    return definition(
        CHECKPOINT,
        "mmc",
        "A checkpoint of a workload, committed by the agents.",
        columns,
        {"spec": spec, "status": status},
    )
