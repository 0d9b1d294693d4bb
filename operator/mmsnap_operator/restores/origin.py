"""Which checkpoint a RestoreRequest means, and whether it may have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from mmsnap.errors import NotFoundError
from mmsnap_operator.checkpoints.ownership import is_own
from mmsnap_operator.cluster import kinds
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.requests.ending import condition
from mmsnap_operator.requests.site import Site
from mmsnap_operator.schedules.group import group_of_source
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """A checkpoint to restore.

    Attributes:
        name: of its Checkpoint object; of one that has none, in the catalog.
        checkpoint: the object; empty: a schedule of the agents took it, and made none.
        workload: kind and name of what the schedule is for; None: it goes by labels.
    """

    namespace: str
    name: str
    group: str
    epoch: int
    checkpoint: Manifest
    workload: Manifest | None = None

    @property
    def template(self) -> Manifest | None:
        """The workload as it was, or kind and name of it at least; None: nothing is known."""
        found: Manifest | None = (self.checkpoint.get("spec") or {}).get("template")
        return found or self.workload

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
        workload = await _scheduled_workload(site, namespace, source.get("scheduleName"))
        at = known["sourceGroup"], known["epoch"]
        origin = Origin(namespace, known["checkpointName"], *at, found, workload)
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


def newest(
    checkpoints: Sequence[GroupCheckpoint], schedule: str, damaged: Set[int] = frozenset()
) -> GroupCheckpoint | None:
    """The last one that a schedule (NAMESPACE.NAME) took, of one group, and that is not damaged."""
    taken = [
        one
        for one in checkpoints
        if one.labels.get(SCHEDULE_LABEL) == schedule and one.epoch not in damaged
    ]
    return max(taken, key=lambda one: one.epoch, default=None)


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
    """Asks the catalog: checkpoints at intervals under a minute have no objects.

    Only in the schedule's own group: any program may put any label on its checkpoints.
    """
    source = await _schedule_source(site, namespace, schedule)
    if source is None:
        raise Refused("ScheduleNotFound", f"there is no CheckpointSchedule {schedule} here")
    group = await group_of_source(site.api, namespace, source)
    objects = await site.api.list(kinds.CHECKPOINT, namespace)
    damaged = {
        one["spec"]["epoch"]
        for one in objects
        if one["spec"]["group"] == group and condition(one, "Ready").get("status") == "False"
    }
    try:
        taken = await site.agents.ask(lambda client: client.checkpoints(group))
    except NotFoundError:
        taken = []
    found = newest(taken, f"{namespace}.{schedule}", damaged)
    if found is None:
        raise Refused(
            "NoReadyCheckpoint",
            f"there is no checkpoint of CheckpointSchedule {schedule} in {namespace}",
        )
    made = _matching(objects, found.group, found.epoch)
    name = made["metadata"]["name"] if made else found.name
    return Origin(namespace, name, found.group, found.epoch, made, _workload_of(source))


async def _schedule_source(site: Site, namespace: str, schedule: str) -> Manifest | None:
    found = await site.api.get(kinds.CHECKPOINT_SCHEDULE, schedule, namespace)
    source: Manifest | None = found and found["spec"]["template"]["spec"]["source"]
    return source


async def _scheduled_workload(site: Site, namespace: str, schedule: str | None) -> Manifest | None:
    return _workload_of(await _schedule_source(site, namespace, schedule)) if schedule else None


def _workload_of(source: Manifest | None) -> Manifest | None:
    return source if source is not None and "name" in source else None


async def _object_of(site: Site, namespace: str, group: str, epoch: int) -> Manifest:
    return _matching(await site.api.list(kinds.CHECKPOINT, namespace), group, epoch)


def _matching(objects: Sequence[Manifest], group: str, epoch: int) -> Manifest:
    same = (
        one for one in objects if (one["spec"]["group"], one["spec"]["epoch"]) == (group, epoch)
    )
    return next(same, {})
