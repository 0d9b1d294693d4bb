"""The one way in which a status is written: conditions merged, only where it differs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.cluster import Api, ApiError, Kind
from mmsnap_operator.health.condition import Condition, merged
from mmsnap_operator.requests.ending import now

log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404


async def write_status(
    api: Api,
    kind: Kind,
    manifest: Mapping[str, Any],
    conditions: Sequence[Condition],
    fields: Mapping[str, Any],
) -> Mapping[str, Any]:
    """The status as it is then; of an object that is gone, as it would be. ApiError.

    Other conditions stay; None as a field takes it out.
    """
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    before = status.get("conditions") or []
    renewed = merged(before, conditions, metadata.get("generation", 1), now())
    kept = [one for one in before if one["type"] not in {each.type for each in conditions}]
    patch = {**fields, "conditions": [*renewed, *kept]}
    if all(status.get(name) == value for name, value in patch.items()):
        return status
    path = metadata["name"], metadata["namespace"]
    try:
        found = await api.patch(kind, *path, {"status": patch}, "status")
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        log.info("%s %s/%s is gone", kind.name, metadata["namespace"], metadata["name"])
        return {**status, **patch}
    return found.get("status") or {}
