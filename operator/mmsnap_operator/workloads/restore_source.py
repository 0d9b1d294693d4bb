"""The Checkpoint that a RestoreRequest is about, and whether its namespace may have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.workloads.finding import named
from mmsnap_operator.workloads.refusals import Refused

Manifest = Mapping[str, Any]


async def find_checkpoint(api: Api, namespace: str, source: Manifest) -> Manifest:
    """The Checkpoint, which this namespace may restore and which is Ready; Refused, ApiError."""
    home = source.get("namespace") or namespace
    if "scheduleName" in source:
        checkpoint = await _newest(api, home, source["scheduleName"])
    else:
        name = source["checkpointName"]
        found = await api.get(kinds.CHECKPOINT, name, home)
        if found is None:
            raise Refused(
                "CheckpointNotFound",
                f"there is no Checkpoint {name} in namespace {home}: kubectl get checkpoints -n "
                f"{home} lists those that there are",
            )
        checkpoint = found
    require_shared(checkpoint, namespace)
    require_ready(checkpoint)
    return checkpoint


def require_shared(checkpoint: Manifest, namespace: str) -> None:
    """Refused, unless it is of this namespace or may be restored in it."""
    metadata, spec = checkpoint["metadata"], checkpoint["spec"]
    home = metadata["namespace"]
    if namespace != home and namespace not in (spec.get("allowedNamespaces") or ()):
        raise Refused(
            "NamespaceNotAllowed",
            f"Checkpoint {metadata['name']} of namespace {home} may not be restored in {namespace}:"
            f" an administrator of {home} can add {namespace} to its spec.allowedNamespaces",
        )


def require_ready(checkpoint: Manifest) -> None:
    """Refused, unless all of it can be restored."""
    name = checkpoint["metadata"]["name"]
    if checkpoint["metadata"].get("deletionTimestamp"):
        raise Refused("CheckpointNotReady", f"Checkpoint {name} is being deleted: take another")
    ready = _condition(checkpoint, "Ready")
    if ready.get("status") != "True":
        why = ready.get("message") or "nothing is told about it yet"
        raise Refused(
            "CheckpointNotReady",
            f"Checkpoint {name} is not Ready: {why}. Restore another one, or wait until it is",
            lasting=False,
        )


async def _newest(api: Api, home: str, schedule: str) -> Manifest:
    """The last one of a schedule that is Ready; Refused."""
    if await api.get(kinds.CHECKPOINT_SCHEDULE, schedule, home) is None:
        raise Refused(
            "ScheduleNotFound",
            f"there is no CheckpointSchedule {schedule} in namespace {home}: kubectl get "
            f"checkpointschedules -n {home} lists those that there are",
        )
    taken = [
        checkpoint
        for checkpoint in await api.list(kinds.CHECKPOINT, home)
        if (checkpoint["metadata"].get("labels") or {}).get(SCHEDULE_LABEL) == f"{home}.{schedule}"
    ]
    ready = [one for one in taken if _condition(one, "Ready").get("status") == "True"]
    usable = [one for one in ready if not one["metadata"].get("deletionTimestamp")]
    if not usable:
        raise Refused("CheckpointNotReady", _none_ready(schedule, taken), lasting=False)
    return max(usable, key=lambda one: (_created(one), one["spec"]["epoch"]))


def _none_ready(schedule: str, taken: Sequence[Manifest]) -> str:
    begun = f"CheckpointSchedule {schedule} has no Checkpoint that is Ready"
    names = named(one["metadata"]["name"] for one in taken)
    return f"{begun}, but {names}" if taken else f"{begun}: it has taken none yet"


def _created(checkpoint: Manifest) -> str:
    metadata = checkpoint["metadata"]
    told = (checkpoint.get("status") or {}).get("createdTime")
    return str(told or metadata.get("creationTimestamp", ""))


def _condition(checkpoint: Manifest, kind: str) -> Manifest:
    told = (checkpoint.get("status") or {}).get("conditions") or ()
    return next((one for one in told if one["type"] == kind), {})
