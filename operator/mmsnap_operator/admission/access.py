"""What somebody has to be allowed himself before the operator does it for him.

The operator may read every Checkpoint and make StatefulSets anywhere. So that nobody gets by it
what the API server would not let him have: who restores from another namespace has to be able to
read the Checkpoint there, and who has a workload made has to be able to make one. Whether something
exists is told only to those who could look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap_operator.admission.requester import Requester
from mmsnap_operator.cluster import Api, Kind, kinds
from mmsnap_operator.restores.origin import Origin
from mmsnap_operator.restores.preflight import IN_PLACE
from mmsnap_operator.workloads.refusals import Refused

Manifest = Mapping[str, Any]


async def require_sight(api: Api, who: Requester, namespace: str, source: Manifest) -> None:
    """Of the source of a RestoreRequest that is in another namespace; Refused, ApiError."""
    home = source.get("namespace") or namespace
    if home == namespace:
        return
    if "scheduleName" in source:
        await _require(api, who, "get", kinds.CHECKPOINT_SCHEDULE, home, source["scheduleName"])
    else:
        await _require(api, who, "get", kinds.CHECKPOINT, home, source["checkpointName"])


async def require_sight_of(api: Api, who: Requester, namespace: str, origin: Origin) -> None:
    """Of the Checkpoint that it came to; Refused, ApiError."""
    if origin.namespace != namespace:
        await _require(api, who, "get", kinds.CHECKPOINT, origin.namespace, origin.name)


async def require_making(api: Api, who: Requester, namespace: str, strategy: str) -> None:
    """Of the StatefulSet that a restore makes, or makes anew; Refused, ApiError."""
    if strategy != IN_PLACE:
        await _require(api, who, "create", kinds.STATEFUL_SET, namespace, "")


async def require_authorship(api: Api, who: Requester, namespace: str) -> None:
    """A Checkpoint says which bytes it is of: who could write one could have another's."""
    if not await who.may(api, "create", kinds.CHECKPOINT):
        raise Refused(
            "NotAllowed",
            "Checkpoints are made by the operator: make a CheckpointRequest in namespace "
            f"{namespace}. (Who may create checkpoints in all namespaces can bring some back.)",
        )


async def _require(
    api: Api, who: Requester, verb: str, kind: Kind, namespace: str, name: str
) -> None:
    if await who.may(api, verb, kind, namespace, name):
        return
    what = f"{kind.plural} {name}".strip()
    raise Refused(
        "NotAllowed",
        f"user {who.name} may not {verb} {what} in namespace {namespace}, which this needs: "
        f"kubectl auth can-i {verb} {kind.plural} -n {namespace}. An administrator of the "
        "namespace can give the right",
    )
