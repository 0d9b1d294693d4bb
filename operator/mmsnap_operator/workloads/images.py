"""Whether a workload still runs the images that a checkpoint is of.

The memory of a process is restored over the files that it was loaded from; with other ones it
crashes, or worse. A program that attached its own regions may well be newer than they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmsnap_operator.webhook.wishes import MEMORY
from mmsnap_operator.workloads.finding import Finding, Weight
from mmsnap_operator.workloads.pods import PodMember

Manifest = Mapping[str, Any]


def check_running_images(
    members: Sequence[PodMember], recorded: Sequence[Manifest]
) -> list[Finding]:
    """The images that members run, by what their nodes told, against those of the checkpoint.

    Args:
        recorded: as the status of the Checkpoint lists its members.
    """
    then = {_key(each): _digest(each["imageID"]) for each in recorded if each.get("imageID")}
    findings = []
    for member in members:
        now, before = _digest(member.image_id), then.get((member.pod, member.container))
        if not now or before in (now, None):
            continue
        remedy, weight = _remedy(member.engine)
        findings.append(
            Finding(
                "ImageChanged",
                f"container {member.container} of pod {member.pod} runs the image {now}, and the "
                f"checkpoint is of {before}: {remedy}",
                weight,
            )
        )
    return findings


def check_template_images(
    workload: Manifest, template: Manifest, containers: Collection[str]
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


def _key(recorded: Manifest) -> tuple[str, str]:
    return recorded.get("pod", ""), recorded.get("container", "")


def _remedy(engine: str) -> tuple[str, Weight]:
    if engine == MEMORY:
        words = "its program has to understand what the older one left (schema, migrate)"
        return words, Weight.WARNING
    return "set the image of the workload back, or restore as a clone", Weight.LASTING


def _digest(image_id: str) -> str:
    """Without the name that a node pulled it by."""
    return image_id.rpartition("@")[2]


def _images(workload: Manifest) -> dict[str, str]:
    containers = workload["spec"]["template"]["spec"]["containers"]
    return {container["name"]: container.get("image", "") for container in containers}
