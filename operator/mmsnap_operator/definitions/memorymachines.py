"""MemoryMachine: that there is mmsnap on the cluster, and how; its schema is made from a table."""

from __future__ import annotations

from typing import Any

from mmsnap_operator import schema
from mmsnap_operator.names import GROUP, KIND, PLURAL, VERSION


def memory_machines() -> dict[str, Any]:
    """The definition of MemoryMachine."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "memorymachine",
                "shortNames": ["mm"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _columns() -> list[dict[str, Any]]:
    def column(name: str, kind: str, path: str, priority: int = 0) -> dict[str, Any]:
        return {"name": name, "type": kind, "jsonPath": path, "priority": priority}

    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        column("Ready", "string", f"{ready}.status"),
        column("Reason", "string", f"{ready}.reason"),
        column("Nodes", "integer", ".status.nodesReady"),
        column("Wanted", "integer", ".status.nodesWanted"),
        column("Version", "string", ".status.mmVersion"),
        column("Age", "date", ".metadata.creationTimestamp"),
        column("Message", "string", f"{ready}.message", priority=1),
    ]


def _root() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Checkpoint and restore of stateful applications, on every labelled node.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema.specification(),
            "status": schema.status(),
        },
    }
