"""Which checkpoint a RestoreRequest means, and whether it may have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmsnap_operator.checkpoints.ownership import is_own
from mmsnap_operator.cluster import kinds
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.requests.site import Site
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """A checkpoint to restore.

    Attributes:
        name: of its Checkpoint object; of one that has none, in the catalog.
        checkpoint: the object; empty: a schedule of the agents took it, and made none.
    """

    namespace: str
    name: str
    group: str
    epoch: int
    checkpoint: Manifest

    @property
    def template(self) -> Manifest | None:
        """The workload as it was, if that is known."""
        found: Manifest | None = (self.checkpoint.get("spec") or {}).get("template")
        return found

    @property
    def members(self) -> Sequence[Manifest]:
        """As the object's status has them."""
        found: Sequence[Manifest] = (self.checkpoint.get("status") or {}).get("members") or ()
        return found


async def find_origin(site: Site, request: Manifest) -> Origin:
    """The checkpoint of a request; Refused."""
    source = request["spec"]["source"]
    own = request["metadata"]["namespace"]
    namespace = source.get("namespace", own)
    known = request.get("status") or {}
    if known.get("epoch") and known.get("sourceGroup"):
        found = await _object_of(site, namespace, known["sourceGroup"], known["epoch"])
        name = known["checkpointName"]
        origin = Origin(namespace, name, known["sourceGroup"], known["epoch"], found)
    elif "checkpointName" in source:
        origin = await _named(site, namespace, source["checkpointName"])
    else:
        origin = await _newest(site, namespace, source["scheduleName"])
    require_allowed(origin, own)
    return origin


def require_allowed(origin: Origin, namespace: str) -> None:
    """Refused, unless this namespace may restore the checkpoint."""
    if namespace == origin.namespace:
        return
    allowed = (origin.checkpoint.get("spec") or {}).get("allowedNamespaces") or ()
    if namespace not in allowed:
        raise Refused(
            "NotAllowed",
            f"Checkpoint {origin.name} of namespace {origin.namespace} does not have {namespace} "
            "among its allowedNamespaces",
        )


def newest(checkpoints: Sequence[GroupCheckpoint], schedule: str) -> GroupCheckpoint | None:
    """The last one that a schedule (NAMESPACE.NAME) took."""
    taken = [one for one in checkpoints if one.labels.get(SCHEDULE_LABEL) == schedule]
    return max(taken, key=lambda one: (one.created, one.epoch), default=None)


async def _named(site: Site, namespace: str, name: str) -> Origin:
    found = await site.api.get(kinds.CHECKPOINT, name, namespace)
    if found is None:
        raise Refused("CheckpointNotFound", f"there is no Checkpoint {name} in {namespace}")
    if found["metadata"].get("deletionTimestamp"):
        raise Refused("CheckpointDeleted", f"Checkpoint {name} is being deleted")
    if not is_own(found):
        raise Refused("ForeignGroup", f"Checkpoint {name} is of a group of another namespace")
    return Origin(namespace, name, found["spec"]["group"], found["spec"]["epoch"], found)


async def _newest(site: Site, namespace: str, schedule: str) -> Origin:
    """Asks the catalog: checkpoints at intervals under a minute have no objects."""
    everything = await site.agents.ask(lambda client: client.checkpoints())
    found = newest(everything, f"{namespace}.{schedule}")
    if found is None:
        raise Refused(
            "NoReadyCheckpoint",
            f"there is no checkpoint of CheckpointSchedule {schedule} in {namespace}",
        )
    made = await _object_of(site, namespace, found.group, found.epoch)
    name = made["metadata"]["name"] if made else found.name
    return Origin(namespace, name, found.group, found.epoch, made)


async def _object_of(site: Site, namespace: str, group: str, epoch: int) -> Manifest:
    for one in await site.api.list(kinds.CHECKPOINT, namespace):
        if (one["spec"]["group"], one["spec"]["epoch"]) == (group, epoch):
            return one
    return {}
