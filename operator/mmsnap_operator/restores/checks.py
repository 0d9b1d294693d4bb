"""What would make a restore fail, found out before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap.pods.naming import group_of, member_of
from mmsnap_operator.restores.origin import Origin
from mmsnap_operator.workloads.pods import PodMember
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint

Manifest = Mapping[str, Any]


def require_same_place(request: Manifest, origin: Origin) -> None:
    """Refused, when a group would be restored that is not the checkpoint's."""
    spec, namespace = request["spec"], request["metadata"]["namespace"]
    if spec["strategy"] == "Clone":
        return
    if namespace != origin.namespace:
        raise Refused(
            "OtherNamespace",
            f"the workload of Checkpoint {origin.name} is in namespace {origin.namespace}: restore "
            "it there, or ask for the strategy Clone",
        )
    target = spec.get("target")
    if target is not None and group_of(namespace, target["name"]) != origin.group:
        raise Refused(
            "TargetMismatch",
            f"Checkpoint {origin.name} is not of {target['kind']} {target['name']}: leave the "
            "target out, or ask for the strategy Clone",
        )


def require_images(origin: Origin, members: Sequence[PodMember]) -> None:
    """Refused, when a program would be put back into another image than it ran."""
    was = {row["member"]: row for row in origin.members}
    for member in members:
        before = was.get(member.name, {})
        if before.get("engine") != "process" or not before.get("imageID"):
            continue
        if member.image_id and member.image_id != before["imageID"]:
            raise Refused(
                "ImageChanged",
                f"container {member.container} of pod {member.pod} runs {member.image} "
                f"({member.image_id}) and was checkpointed in {before['imageID']}: a program is "
                "restored into the image that it ran",
            )


def require_same_images(origin: Origin, workload: Manifest) -> None:
    """The same, of pods that are to be made from a live workload."""
    template = origin.template or {}
    was, now = _images(template), _images(workload)
    for row in origin.members:
        container = row.get("container")
        if row.get("engine") != "process" or container is None:
            continue
        image = was.get(container, row.get("image"))
        if container not in now:
            raise Refused(
                "ImageChanged",
                f"member {row['member']} was checkpointed in container {container}, and the "
                "workload has none of that name now",
            )
        if image and now[container] != image:
            raise Refused(
                "ImageChanged",
                f"container {container} has the image {now[container]} now and was checkpointed in "
                f"{image}: a program is restored into the image that it ran",
            )


def require_whole(origin: Origin, members: Sequence[PodMember]) -> None:
    """Refused for the time being, unless there is a pod for every member."""
    there = {member.name for member in members}
    missing = [row["member"] for row in origin.members if row["member"] not in there]
    if missing:
        raise Refused(
            "MembersMissing",
            f"there is no pod for {', '.join(missing)}: in place is for pods that are there, "
            "Recreate makes new ones",
            lasting=False,
        )


def renamed(origin: Origin, taken: GroupCheckpoint, source: str, target: str) -> dict[str, str]:
    """What the members are called in a clone: its pods are numbered like the first one's."""
    names = {}
    rows = {row["member"]: row for row in origin.members}
    for part in taken.members:
        row = rows.get(part.member, {})
        pod, container = row.get("pod", part.member), row.get("container", "")
        if not pod.startswith(f"{source}-"):
            raise Refused(
                "MembersUnknown",
                f"member {part.member} is of no pod that is called {source}-NUMBER: it can not be "
                "cloned",
            )
        other = target + pod.removeprefix(source)
        names[part.member] = member_of(other, container, part.member == member_of(pod, "", True))
    return names


def set_name(spec: Manifest, origin: Origin) -> str:
    """What the workload is called that a RestoreRequest is for; Refused when nothing says so."""
    named = spec.get("target") or origin.template
    if not named:
        raise Refused(
            "TemplateMissing", f"nothing says of which workload {origin.name} is: name a target"
        )
    return str(named["name"])


def _images(workload: Manifest) -> dict[str, str]:
    """By container; none of a template that knows no more than the name."""
    if not workload.get("spec"):
        return {}
    spec = workload["spec"]["template"]["spec"]
    return {one["name"]: one.get("image", "") for one in spec["containers"]}
