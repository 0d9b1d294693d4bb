"""The custom resource definitions as manifests, one file each; written by a command, committed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from mmsnap_operator import schema
from mmsnap_operator.names import GROUP, KIND, PLURAL, VERSION

_WRITTEN_BY: Final = "# Written by: python -m mmsnap_operator crds\n"


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


def files() -> Mapping[str, str]:
    """The text of each manifest, by the name of its file."""
    return {"memorymachines.crd.yaml": _WRITTEN_BY + as_yaml(memory_machines())}


def write(folder: Path) -> list[Path]:
    """Write them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in files().items():
        (folder / name).write_text(content)
        written.append(folder / name)
    return written


class _Plain(yaml.SafeDumper):
    """Without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(manifest: Mapping[str, Any]) -> str:
    """A manifest as text."""
    return yaml.dump(dict(manifest), Dumper=_Plain, sort_keys=False, width=100)
