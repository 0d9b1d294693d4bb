"""A workload as it was, kept to make it anew: without what the API server put in by itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.names import CLONE_LABEL
from mmsnap_operator.workloads.refusals import Refused

Manifest = dict[str, Any]

_NOT_OURS: Final = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
)
_FILLED_IN: Final = ("nodeName", "serviceAccount")


def template_of(workload: Mapping[str, Any]) -> Manifest:
    """What a Checkpoint keeps of a workload."""
    metadata = workload["metadata"]
    notes: Mapping[str, str] = metadata.get("annotations") or {}
    spec = copy.deepcopy(dict(workload["spec"]))
    if workload["kind"] == "Pod":
        for name in _FILLED_IN:
            spec.pop(name, None)
    return {
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "name": metadata["name"],
        "labels": dict(metadata.get("labels") or {}),
        "annotations": {name: text for name, text in notes.items() if name not in _NOT_OURS},
        "spec": spec,
    }


def require_recreatable(template: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The template, if a set can be brought back by making its pods anew; Refused."""
    if not template or not template.get("spec"):
        raise Refused(
            "TemplateMissing",
            "the Checkpoint does not say what the workload was: restore it in place, into pods "
            "that are there",
        )
    if template["kind"] != "StatefulSet":
        raise Refused(
            "WorkloadUnsupported",
            f"a {template['kind']} gives its new pods other names, so their members would not be "
            "known again: only a StatefulSet can be recreated or cloned",
        )
    if template["spec"].get("podManagementPolicy") != "Parallel":
        raise Refused(
            "OrderedReady",
            f"StatefulSet {template['name']} starts its pods one after the other, and the first "
            "would wait for the others: it needs podManagementPolicy: Parallel",
        )
    return template


def recreated(template: Mapping[str, Any], namespace: str) -> Manifest:
    """The StatefulSet as it was."""
    return {
        "apiVersion": template["apiVersion"],
        "kind": template["kind"],
        "metadata": {
            "name": template["name"],
            "namespace": namespace,
            "labels": dict(template.get("labels") or {}),
            "annotations": dict(template.get("annotations") or {}),
        },
        "spec": copy.deepcopy(dict(template["spec"])),
    }


def cloned(template: Mapping[str, Any], namespace: str, name: str) -> Manifest:
    """A second StatefulSet, whose selector takes none of the first one's pods."""
    made = recreated({**template, "name": name}, namespace)
    spec = made["spec"]
    spec["selector"].setdefault("matchLabels", {})[CLONE_LABEL] = name
    pods = spec["template"].setdefault("metadata", {})
    pods["labels"] = {**(pods.get("labels") or {}), CLONE_LABEL: name}
    return made
