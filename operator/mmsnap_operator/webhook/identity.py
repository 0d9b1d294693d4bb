"""Who a pod is to mmsnap: its workload, its group, and its containers' members.

Only from the pod itself: a webhook that asks the API server while that waits for it is slow, and
fails when the API server does. Pods of most workloads have no name yet when they come by; then the
kubelet puts it in, in the place of $(MM_POD_NAME).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.pods.naming import NAME_MAX, group_of, is_readable, member_of
from mmsnap_operator.webhook.refusals import Refusal
from mmsnap_operator.webhook.variables import POD_NAME
from mmsnap_operator.workloads.pods import controller_of

_EXPANDED: Final = f"$({POD_NAME})"
# How the API server makes a name of a generateName.
_GENERATED_LENGTH: Final = 5
_GENERATED: Final = "x" * _GENERATED_LENGTH


@dataclass(frozen=True, slots=True)
class Identity:
    """Of a pod.

    Attributes:
        name: None: the API server has yet to make one.
        workload: empty: the pod itself, by the name that it will have.
        group: and members, by container: values of variables; may have $(MM_POD_NAME) in them.
    """

    name: str | None
    workload: str
    group: str
    members: Mapping[str, str]


def identity_of(pod: Mapping[str, Any], namespace: str, containers: Sequence[str]) -> Identity:
    """Who it is, when these containers are captured; Refusal when that can not be told yet."""
    metadata = pod["metadata"]
    name: str | None = metadata.get("name") or None
    owner = controller_of(pod)
    workload = owner.name if owner else name or ""
    if name:
        members = {
            container: member_of(name, container, place == 0)
            for place, container in enumerate(containers)
        }
        return Identity(name, workload, group_of(namespace, workload), members)
    sample = (metadata.get("generateName") or "")[: NAME_MAX - _GENERATED_LENGTH] + _GENERATED
    members = {container: _later(sample, container) for container in containers[1:]}
    return Identity(
        None,
        workload,
        group_of(namespace, workload) if workload else _later_group(namespace, sample),
        {containers[0]: _later(sample), **members},
    )


def _later(sample: str, *container: str) -> str:
    """Put together when the pod has its name, and so only as it is: nobody hashes it there."""
    if not is_readable(sample, *container):
        name = "--".join([sample.removesuffix(_GENERATED) + "…", *container])
        raise Refusal(
            f"the member {name} would be no DNS label of at most {NAME_MAX} characters without two "
            "hyphens in a row: give the workload a shorter or plainer name"
            + (", or name one container in the annotation containers" if container else "")
        )
    return "--".join([_EXPANDED, *container])


def _later_group(namespace: str, sample: str) -> str:
    if not is_readable(namespace, sample):
        raise Refusal(
            f"a group {namespace}--{sample.removesuffix(_GENERATED)}… would have too long a name: "
            "give the pod a name of its own"
        )
    return f"{namespace}--{_EXPANDED}"
