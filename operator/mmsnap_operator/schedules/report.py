"""What a CheckpointSchedule says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.cluster.events import announce
from mmsnap_operator.health.condition import Condition, merged
from mmsnap_operator.requests.ending import condition, now

_NOT_FOUND: Final = 404


async def write_status(
    api: Api, schedule: Mapping[str, Any], ready: Condition, fields: Mapping[str, Any]
) -> None:
    """Where it differs; None as a field takes it out. What goes wrong anew is an event, too."""
    metadata, status = schedule["metadata"], schedule.get("status") or {}
    before = status.get("conditions") or []
    renewed = merged(before, [ready], metadata.get("generation", 1), now())
    patch = {**fields, "conditions": renewed}
    if all(status.get(name) == value for name, value in patch.items()):
        return
    try:
        path = metadata["name"], metadata["namespace"]
        await api.patch(kinds.CHECKPOINT_SCHEDULE, *path, {"status": patch}, "status")
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        return
    if ready.holds is False and condition(schedule, "Ready").get("reason") != ready.reason:
        kind = kinds.CHECKPOINT_SCHEDULE
        about = {**schedule, "apiVersion": kind.api_version, "kind": kind.name}
        await announce(api, about, ready.reason, ready.message, warning=True)
