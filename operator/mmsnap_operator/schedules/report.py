"""What a CheckpointSchedule says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.cluster.events import announce
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.requests import status
from mmsnap_operator.requests.ending import condition


async def write_status(
    api: Api, schedule: Mapping[str, Any], ready: Condition, fields: Mapping[str, Any]
) -> None:
    """Where it differs; None as a field takes it out. What goes wrong anew is an event, too."""
    kind = kinds.CHECKPOINT_SCHEDULE
    await status.write_status(api, kind, schedule, [ready], fields)
    if ready.holds is False and condition(schedule, "Ready").get("reason") != ready.reason:
        about = {**schedule, "apiVersion": kind.api_version, "kind": kind.name}
        await announce(api, about, ready.reason, ready.message, warning=True)
