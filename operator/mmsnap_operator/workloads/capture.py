"""Whether members are captured in the way that a request asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.webhook.volumes import captured_before
from mmsnap_operator.webhook.wishes import ENGINE, PROFILE
from mmsnap_operator.workloads.finding import Finding, named
from mmsnap_operator.workloads.pods import PodMember

Manifest = Mapping[str, Any]

KUBELET: Final = "kubelet"


def captured_containers(pod: Manifest) -> Iterator[Manifest]:
    """Those of a pod's containers that are members."""
    captured = captured_before(pod) or ()
    return (each for each in pod["spec"]["containers"] if each["name"] in captured)


def check_engine(members: Sequence[PodMember], engine: str | None) -> list[Finding]:
    """None asks for nothing. Which engine a pod has was settled when it was made."""
    if engine is None or engine == KUBELET:
        return []
    others = [member for member in members if member.engine != engine]
    if not others:
        return []
    have = " and ".join(sorted({member.engine for member in others}))
    return [
        Finding(
            "EngineDiffers",
            f"engine {engine} is asked for, and {_named(others)} have {have}: leave engine out, or "
            f"set the annotation {ENGINE}: {engine} in the pod template and let the pods be made "
            "anew",
        )
    ]


def check_profile(members: Sequence[PodMember], profile: str | None) -> list[Finding]:
    """None asks for nothing. A profile runs beside the program, from when the pod was made."""
    others = [member for member in members if profile and member.profile != profile]
    if not others:
        return []
    have = " and ".join(sorted({member.profile or "none" for member in others}))
    return [
        Finding(
            "ProfileDiffers",
            f"profile {profile} is asked for, and {_named(others)} have {have}: leave profile out, "
            f"or set the annotation {PROFILE}: {profile} in the pod template and let the pods be "
            "made anew",
        )
    ]


def _named(members: Sequence[PodMember]) -> str:
    return named(member.name for member in members)
