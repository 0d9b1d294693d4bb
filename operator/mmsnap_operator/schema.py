"""The schema of a MemoryMachine, made from the table of fields.

Unknown fields of the specification are kept, not pruned, and a condition names them. A structural
schema that prunes drops them without a word for every client that does not ask for strict checks;
one that refuses them would refuse manifests written for other releases. Known fields are checked.
"""

from __future__ import annotations

from typing import Any, Final

from mmsnap_operator.fields import SPEC, STATUS, UNSET, Field

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_BYTES: Final = {**_COUNT, "format": "int64"}
_KEEP_UNKNOWN: Final = "x-kubernetes-preserve-unknown-fields"

_CONDITION: Final = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    "properties": {
        "type": {"type": "string", "minLength": 1, "maxLength": 316},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
        "message": {"type": "string", "maxLength": 32768},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
    },
}

_OBSERVED: Final[dict[str, Any]] = {
    "observedGeneration": {"type": "integer", "format": "int64"},
    "image": {**_TEXT, "description": "the image that the agents run"},
    "etcdEndpoints": {"type": "array", "items": _TEXT},
    "nodesWanted": {**_COUNT, "description": "nodes with the label storage=pmem"},
    "nodesReady": {**_COUNT, "description": "nodes whose agent is ready"},
    "usageTime": {"type": "string", "format": "date-time", "description": "when nodes was seen"},
    "nodes": {
        "type": "array",
        "description": "what the pool of each node holds",
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": _TEXT,
                "unreachable": {**_TEXT, "description": "why its agent did not answer"},
                "pool": _TEXT,
                "sizeBytes": _BYTES,
                "freeBytes": _BYTES,
                "usedBytes": _BYTES,
                "memberCount": _COUNT,
                "regions": {
                    "type": "array",
                    "description": "whose it is, the largest first",
                    "items": {
                        "type": "object",
                        "properties": {
                            "group": _TEXT,
                            "member": _TEXT,
                            "usedBytes": _BYTES,
                            "checkpointCount": _COUNT,
                        },
                    },
                },
                "regionsLeftOut": {**_COUNT, "description": "smaller ones, not told here"},
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    },
    "conditions": {
        "type": "array",
        "items": _CONDITION,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    },
}


def specification() -> dict[str, Any]:
    """The schema of `spec`."""
    return _schema(SPEC, keep_unknown=True)


def status() -> dict[str, Any]:
    """The schema of `status`: what it mirrors, and what was observed."""
    mirrored = _schema(STATUS, keep_unknown=False)
    return {**mirrored, "properties": {**mirrored["properties"], **_OBSERVED}}


def _schema(field: Field, *, keep_unknown: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.kind}
    if field.honoured:
        schema["description"] = field.honoured
    elif field.ignored:
        schema["description"] = f"means nothing here: {field.ignored}"
    if field.kind == "array":
        schema["items"] = _TEXT
    if field.kind == "object":
        schema["properties"] = {
            child.name: _schema(child, keep_unknown=keep_unknown) for child in field.children
        }
        if keep_unknown:
            schema[_KEEP_UNKNOWN] = True
    if field.default is not UNSET:
        schema["default"] = field.default
    return {**schema, **(field.bounds or {})}
