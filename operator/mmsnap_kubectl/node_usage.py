"""What nodes' pools hold, as the operator writes it into the status of the MemoryMachine.

Everybody who may read the MemoryMachine may know it; nobody needs a way to the agents for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.quantities import format_duration
from mmsnap_kubectl.kubectl import Kubectl
from mmsnap_kubectl.names import MEMORY_MACHINES, SYSTEM_NAMESPACE

_STALE_SECONDS: Final = 180
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Of all nodes, as of a moment."""

    nodes: list[dict[str, Any]]
    seen: datetime

    @property
    def remark(self) -> str:
        """A warning when it is old; else empty."""
        age_seconds = (datetime.now(UTC) - self.seen).total_seconds()
        if age_seconds < _STALE_SECONDS:
            return ""
        return (
            f"this is {format_duration(round(age_seconds * 1e9))} old: the operator does not run, "
            "or reaches no agent"
        )

    def used_bytes(self, member: tuple[str, str]) -> int | None:
        """What a member, (group, name), takes of its node's pool; None: nothing is known of it."""
        told = [
            region["usedBytes"]
            for node in self.nodes
            for region in node.get("regions") or ()
            if (region.get("group"), region.get("member")) == member
        ]
        return sum(told) if told else None


def next_usage_of(kubectl: Kubectl, timeout_seconds: float) -> Usage:
    """The next that the operator writes, its first one too; MmsnapError when none is in time."""
    deadline = time.monotonic() + timeout_seconds
    before = _told(_place(kubectl))
    # By what changes: the clock of the operator's machine may be another than this one's.
    while (found := _told(_place(kubectl))) is None or (before and found.seen == before.seen):
        if time.monotonic() > deadline:
            raise MmsnapError(
                f"no new figures within {timeout_seconds:.0f} s",
                subject="usage",
                hint="does the operator run? kubectl get pods -n memverge",
                retryable=True,
            )
        time.sleep(_LOOK_SECONDS)
    return found


def usage_of(kubectl: Kubectl) -> Usage:
    """The usage of the MemoryMachine's nodes.

    Raises:
        NotFoundError: there is no MemoryMachine in that namespace.
        MmsnapError: nobody has written its usage yet.
    """
    place = _place(kubectl)
    found = _told(place)
    if found is None:
        raise MmsnapError(
            f"the usage of {place.namespace} is not known yet",
            subject=place.namespace,
            hint="--fresh waits for it; are the agents ready? "
            f"kubectl get memorymachines -n {place.namespace} -o wide",
            retryable=True,
        )
    return found


def _place(kubectl: Kubectl) -> Kubectl:
    return kubectl if kubectl.namespace else kubectl.within(SYSTEM_NAMESPACE)


def _told(place: Kubectl) -> Usage | None:
    machines = place.list(MEMORY_MACHINES)
    if not machines:
        raise NotFoundError(
            f"there is no MemoryMachine in {place.namespace}",
            subject=place.namespace,
            hint="-n chooses the operator's namespace",
        )
    # More than one are at odds; the one in charge has a usage.
    told: list[Mapping[str, Any]] = [one.get("status") or {} for one in machines]
    found = next((status for status in told if "nodes" in status), None)
    if found is None:
        return None
    return Usage(list(found["nodes"]), datetime.fromisoformat(found["usageTime"]))
