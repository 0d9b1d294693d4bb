"""What all definitions have in common: the envelope, printer columns, and what appears in several.

Unknown fields of the kinds of this release are pruned, and `kubectl` warns of them: unlike those of
a MemoryMachine, no manifests for other releases exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.cluster.kinds import Kind

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
FLAG: Final[Schema] = {"type": "boolean"}
NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 253}

CONDITIONS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": {"type": "string", "minLength": 1, "maxLength": 316},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
            "message": {"type": "string", "maxLength": 32768},
            "lastTransitionTime": INSTANT,
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        },
    },
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}


def definition(
    kind: Kind,
    short_name: str,
    about: str,
    columns: Sequence[Schema],
    parts: Mapping[str, Schema],
    required: Sequence[str] = ("spec",),
) -> Schema:
    """A definition of a kind in a namespace; `parts` are `spec` and `status`."""
    group, _, version = kind.api_version.partition("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [short_name],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(columns),
                    "schema": {"openAPIV3Schema": _root(about, parts, required)},
                }
            ],
        },
    }


def column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> Schema:
    """A column of `kubectl get`; `wide`: with `-o wide` only."""
    return {"name": name, "type": kind, "jsonPath": path, "priority": int(wide)}


def condition_columns(condition: str, *, called: str) -> tuple[Schema, Schema]:
    """Whether a condition holds, and why or why not."""
    path = f'.status.conditions[?(@.type=="{condition}")]'
    return column(called, f"{path}.status"), column("Reason", f"{path}.reason")


def message_column(condition: str) -> Schema:
    """The words of a condition, in the wide table."""
    return column("Message", f'.status.conditions[?(@.type=="{condition}")].message', wide=True)


AGE: Final[Schema] = column("Age", ".metadata.creationTimestamp", "date")


def struct(
    properties: Mapping[str, Schema],
    required: Sequence[str] = (),
    rules: Sequence[Schema] = (),
    about: str = "",
) -> Schema:
    """An object with these fields."""
    made: Schema = {"type": "object"}
    if about:
        made["description"] = about
    if required:
        made["required"] = list(required)
    made["properties"] = dict(properties)
    if rules:
        made["x-kubernetes-validations"] = list(rules)
    return made


def told(schema: Schema, about: str, **more: Any) -> Schema:
    """A field and what it means."""
    return {**schema, "description": about, **more}


def choice(*values: str) -> Schema:
    """One of some words."""
    return {"type": "string", "enum": list(values)}


def rule(expression: str, message: str) -> Schema:
    """What the API server holds a value to, in its expression language."""
    return {"rule": expression, "message": message}


def _root(about: str, parts: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    envelope = {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object"}}
    return struct({**envelope, **parts}, required, about=about)
