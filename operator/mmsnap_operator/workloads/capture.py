"""Whether pods are captured by mmsnap, in one group, and as a request takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mmsnap.pods.naming import group_of
from mmsnap_operator.webhook.registration import LABEL
from mmsnap_operator.webhook.variables import value_of
from mmsnap_operator.webhook.volumes import captured_before, workload_before
from mmsnap_operator.webhook.wishes import ASKED, ENGINE, PROFILE, YES
from mmsnap_operator.workloads.finding import Finding, Weight, named

Manifest = Mapping[str, Any]

KUBELET: Final = "kubelet"


def captured_containers(pod: Manifest) -> Iterator[Manifest]:
    """Those of its containers that are members."""
    captured = captured_before(pod) or ()
    return (each for each in pod["spec"]["containers"] if each["name"] in captured)


def group_of_pod(pod: Manifest) -> str | None:
    """The group that it is in; None: it is not captured."""
    workload = workload_before(pod)
    if workload is None:
        return None
    metadata = pod["metadata"]
    return group_of(metadata["namespace"], workload or metadata["name"])


def engines_of(pod: Manifest) -> set[str]:
    """The engines of its members."""
    return {value_of(each, "MMSNAP_ENGINE") or "" for each in captured_containers(pod)} - {""}


def check_captured(pods: Sequence[Manifest]) -> list[Finding]:
    """Every pod has to be captured: one that is not would go on beside a rolled back group."""
    strangers = [_name(pod) for pod in pods if captured_before(pod) is None]
    if not strangers:
        return []
    ((label, value),) = LABEL.items()
    return [
        Finding(
            "NotCaptured",
            f"mmsnap does not capture {_pods(strangers)}: set the annotation {ASKED}: "
            f'"{YES}" in the pod template of the workload and the label {label}={value} on the '
            "namespace, and let the pods be made anew",
        )
    ]


def check_one_group(pods: Sequence[Manifest]) -> list[Finding]:
    """A checkpoint is of one group, and so of one workload."""
    groups: dict[str, str] = {}
    for pod in pods:
        group = group_of_pod(pod)
        if group is not None:
            groups.setdefault(group, _name(pod))
    if len(groups) < 2:
        return []
    told = ", ".join(f"{group} ({pod}, …)" for group, pod in sorted(groups.items()))
    return [
        Finding(
            "SeveralGroups",
            f"the source selects pods of {len(groups)} groups: {told}. A checkpoint is of one "
            "workload: name it, or narrow the selector",
        )
    ]


def check_engine(pods: Sequence[Manifest], engine: str | None) -> list[Finding]:
    """None asks for nothing. Which engine a pod has was settled when it was made."""
    if engine is None or engine == KUBELET:
        return []
    others = {_name(pod): engines_of(pod) - {engine} for pod in pods}
    wrong = [name for name, found in others.items() if found]
    if not wrong:
        return []
    found = " and ".join(sorted(set().union(*others.values())))
    return [
        Finding(
            "EngineDiffers",
            f"engine {engine} is asked for, and {_pods(wrong)} run with {found}: leave engine out, "
            f"or set the annotation {ENGINE}: {engine} in the pod template",
        )
    ]


def check_profile(pods: Sequence[Manifest], profile: str | None) -> list[Finding]:
    """None asks for nothing. A profile runs beside the program, from when the pod was made."""
    if not profile:
        return []
    found: dict[str, list[str]] = {}
    for pod in pods:
        has = {value_of(each, "MMSNAP_PROFILE") or "" for each in captured_containers(pod)}
        if has and profile not in has:
            found.setdefault(" and ".join(sorted(has - {""})) or "none", []).append(_name(pod))
    return [
        Finding(
            "ProfileDiffers",
            f"profile {profile} is asked for, and {_pods(names)} run with {has}: leave profile "
            f"out, or set the annotation {PROFILE}: {profile} in the pod template and let the "
            "pods be made anew",
        )
        for has, names in found.items()
    ]


def check_running(pods: Sequence[Manifest]) -> list[Finding]:
    """What does not run yet, or is going away, has no state that could be taken."""
    idle = [_name(pod) for pod in pods if not _runs(pod)]
    if not idle:
        return []
    return [
        Finding(
            "PodsNotRunning",
            f"{_pods(idle)} do not run (kubectl get pods -n {pods[0]['metadata']['namespace']}): "
            "wait until all pods of the workload do",
            Weight.PASSING,
        )
    ]


def _runs(pod: Manifest) -> bool:
    going = pod["metadata"].get("deletionTimestamp")
    return not going and pod.get("status", {}).get("phase") == "Running"


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])


def _pods(names: Sequence[str]) -> str:
    return f"pod{'s' if len(names) > 1 else ''} {named(names)}"
