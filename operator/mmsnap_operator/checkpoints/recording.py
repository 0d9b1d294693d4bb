"""Makes the Checkpoint object of a checkpoint, once, and writes its status."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.checkpoints.identity import identity, is_same
from mmsnap_operator.checkpoints.record import (
    checkpoint_object,
    checkpoint_status,
    conditions_of,
    members_now,
)
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.names import BYTES_FINALIZER
from mmsnap_operator.requests import status
from mmsnap_operator.workloads.pods import Owner
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.source import Source
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
# Bad, forbidden, too large, not valid: the same again would be refused again.
_LASTING: Final = (400, _FORBIDDEN, 413, 422)


async def record_checkpoint(
    api: Api,
    source: Source | None,
    namespace: str,
    owner: Owner,
    taken: GroupCheckpoint,
    policy: str,
) -> str:
    """The name of its object; Refused when another one is called so, or it may not be made.

    In a namespace that is being deleted nothing can be made: then the checkpoint is in the catalog
    alone, as if its object had been deleted with the policy Retain.
    """
    wanted = checkpoint_object(source, namespace, owner, taken, policy)
    wanted["metadata"]["finalizers"] = [BYTES_FINALIZER]
    name: str = wanted["metadata"]["name"]
    found = await api.get(kinds.CHECKPOINT, name, namespace) or await _made(api, wanted)
    if found is None:
        return name
    known = found.get("status") or {}
    if identity(found) != (taken.group, taken.epoch) or not is_same(found, taken):
        raise Refused("NameTaken", f"there is another Checkpoint {name} in namespace {namespace}")
    if known.get("members"):
        members = members_now(known["members"], taken)
        fields = {"durability": taken.durability.capitalize(), "members": members}
    else:
        fields = checkpoint_status(taken, source.members if source is not None else ())
    await write_status(api, found, fields, conditions_of(taken))
    return name


async def _made(api: Api, wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object; None: its namespace goes. Refused when it is not let be made, ApiError."""
    name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
    try:
        return await api.create(wanted)
    except ApiError as error:
        if error.status == _CONFLICT:
            return await api.get(kinds.CHECKPOINT, name, namespace) or wanted
        if error.status in (_FORBIDDEN, _NOT_FOUND) and await _goes(api, namespace):
            log.warning("%s/%s: no object: %s", namespace, name, error.message)
            return None
        if error.status not in _LASTING or error.is_about_roles:
            raise
        spec = wanted["spec"]
        raise Refused(
            "CheckpointNotMade",
            f"it was taken (@{spec['epoch']} of group {spec['group']}), but the object {name} "
            f"could not be made: {error.message}",
        ) from error


async def _goes(api: Api, namespace: str) -> bool:
    found = await api.get(kinds.NAMESPACE, namespace)
    return found is None or bool(found["metadata"].get("deletionTimestamp"))


async def write_status(
    api: Api,
    checkpoint: Mapping[str, Any],
    fields: Mapping[str, Any],
    conditions: Sequence[Condition],
) -> None:
    """Write a Checkpoint's status where it differs; one that is gone has none."""
    await status.write_status(api, kinds.CHECKPOINT, checkpoint, conditions, fields)
