"""Whether a workload still runs the images that a checkpoint is of.

The memory of a process is restored over the files that it was loaded from; with other ones it
crashes, or worse. A program that attached its own regions may well be newer than they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.webhook.wishes import MEMORY
from mmsnap_operator.workloads.capture import captured_containers, engines_of
from mmsnap_operator.workloads.finding import Finding, Weight

Manifest = Mapping[str, Any]


def check_running_images(pods: Sequence[Manifest], members: Sequence[Manifest]) -> list[Finding]:
    """The images that pods run, by what their nodes told, against those of the checkpoint."""
    recorded = {each["pod"]: each["imageID"] for each in members if each.get("imageID")}
    findings = []
    for pod in pods:
        name = pod["metadata"]["name"]
        running = _image_ids(pod)
        if name not in recorded or not running or _digest(recorded[name]) in running:
            continue
        only_memory = engines_of(pod) == {MEMORY}
        findings.append(
            Finding(
                "ImageChanged",
                f"pod {name} runs the image {' and '.join(sorted(running))}, and the checkpoint is "
                f"of {_digest(recorded[name])}: "
                + (
                    "its program has to understand what the older one left (schema, migrate)"
                    if only_memory
                    else "set the image of the workload back, or restore as a clone"
                ),
                Weight.WARNING if only_memory else Weight.LASTING,
            )
        )
    return findings


def check_template_images(
    workload: Manifest, template: Manifest, containers: Sequence[str]
) -> list[Finding]:
    """The images that new pods of a workload would have, against those that the old ones had.

    Args:
        template: the workload as it was when the checkpoint was taken.
        containers: which of them are members; empty: all.
    """
    now, then = _images(workload), _images(template)
    findings = []
    for name, image in then.items():
        if (containers and name not in containers) or now.get(name) in (image, None):
            continue
        findings.append(
            Finding(
                "ImageChanged",
                f"container {name} of {workload['kind']} {workload['metadata']['name']} has the "
                f"image {now[name]}, and the checkpoint is of {image}: set it back (kubectl set "
                f"image), or delete the {workload['kind']}, which is then made as it was",
            )
        )
    return findings


def _image_ids(pod: Manifest) -> set[str]:
    """Of its members; empty while nothing runs."""
    members = {container["name"] for container in captured_containers(pod)}
    return {
        _digest(status["imageID"])
        for status in pod.get("status", {}).get("containerStatuses") or ()
        if status["name"] in members and status.get("imageID")
    }


def _digest(image_id: str) -> str:
    """Without the name that a node pulled it by."""
    return image_id.rpartition("@")[2]


def _images(workload: Manifest) -> dict[str, str]:
    containers = workload["spec"]["template"]["spec"]["containers"]
    return {container["name"]: container.get("image", "") for container in containers}
