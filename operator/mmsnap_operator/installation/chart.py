"""The Helm chart: the same objects, with Helm's expressions where an installation may choose.

An expression stands for a whole value and writes JSON, which is YAML too: whatever a value has in
it, it can not become anything else than that value. Definitions and the namespace carry an
annotation that keeps them when the chart is uninstalled: with them, Checkpoints would go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from mmsnap_operator.definitions import as_yaml
from mmsnap_operator.installation import openshift
from mmsnap_operator.installation.manifest import documents
from mmsnap_operator.installation.objects import objects
from mmsnap_operator.installation.settings import VERSION, Installation
from mmsnap_operator.installation.uninstalling import steps

NAME: Final = "memory-machine-operator"
_WRITTEN_BY: Final = "# Written by: python -m mmsnap_operator chart\n"
_PLACE: Final = re.compile(r"'?@@([A-Za-z]+)@@'?")
_KEPT: Final = ("CustomResourceDefinition", "Namespace")
_KEEP: Final = {"helm.sh/resource-policy": "keep"}
_NOTES: Final = (
    "The operator of mmsnap is installed. It deploys what a MemoryMachine asks for, like\n"
    "operator/manifests/memorymachine.yaml: kubectl get memorymachines -A\n\n"
    + "".join(f"{line}\n" for line in steps("helm uninstall RELEASE"))
    + "The definitions and the namespace stay; kubectl delete crd, and namespace, as you like.\n"
)
# By field of Installation: the value's name, and what is said of it.
_VALUES: Final = {
    "image": ("image", "of the operator; agents run the one that the MemoryMachine names"),
    "namespace": (
        "namespace",
        "the operator's; it is made: no --create-namespace",
    ),
    "kubelet_folder": ("kubeletFolder", "the --root-dir of the nodes' kubelets"),
    "nri_folder": ("nriFolder", "where containerd has its socket for plugins"),
    "log_level": ("logLevel", "debug, info, warning or error"),
    "resources": ("resources", "of the operator's container"),
}


def files() -> Mapping[str, str]:
    """The text of each file, by its path in the chart."""
    places: dict[str, Any] = {field: f"@@{name}@@" for field, (name, _) in _VALUES.items()}
    placed = Installation(**places)
    return {
        "Chart.yaml": _WRITTEN_BY + as_yaml(_chart()),
        "values.yaml": _WRITTEN_BY + _values(),
        "templates/NOTES.txt": _NOTES,
        "templates/install.yaml": _template([_kept(each) for each in objects(placed)]),
        "templates/openshift.yaml": "{{- if .Values.openshift }}\n"
        + _template(openshift.objects(placed.namespace))
        + "{{- end }}\n",
    }


def write(folder: Path) -> list[Path]:
    """Write them into a folder."""
    written = []
    for name, content in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        written.append(path)
    return written


def _chart() -> dict[str, Any]:
    return {
        "apiVersion": "v2",
        "name": NAME,
        "description": "Checkpoint and restore of stateful applications: the operator of mmsnap",
        "type": "application",
        "version": VERSION,
        "appVersion": VERSION,
        "kubeVersion": ">=1.30.0-0",
    }


def _values() -> str:
    chosen = Installation()
    parts = []
    for field in fields(Installation):
        name, words = _VALUES[field.name]
        parts.append(f"# {words}\n" + as_yaml({name: getattr(chosen, field.name)}))
    parts.append("# whether this is OpenShift, whose SecurityContextConstraints are made then\n")
    return "".join([*parts, as_yaml({"openshift": False})])


def _kept(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    if manifest["kind"] not in _KEPT:
        return manifest
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **_KEEP}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _template(manifests: Any) -> str:
    text = documents(manifests)
    if "{{" in text:
        raise ValueError("a manifest has the signs in it that begin Helm's expressions")
    return _PLACE.sub(r"{{ toJson .Values.\1 }}", text)
