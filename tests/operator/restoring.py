"""RestoreRequests carried out in the cluster in memory, without its pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from mmsnap_operator.cluster import kinds
from mmsnap_operator.requests.ending import as_text, condition, now
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores import running
from mmsnap_operator.restores.running import RestoreRunning
from mmsnap_sdk.service_records import GroupMemberCheckpoint
from tests.operator.request_samples import request, taken
from tests.operator.restore_site import GROUP, FakeApi

Manifest = dict[str, Any]


def memory(*names: str) -> tuple[GroupMemberCheckpoint, ...]:
    """Parts of members that are no programs."""
    part = taken().members[0]
    assert isinstance(part, GroupMemberCheckpoint)
    return tuple(replace(part, member=name, engine="memory") for name in names)


def asked(api: FakeApi, strategy: str, status: Manifest | None = None, **spec: Any) -> Manifest:
    known = {"source": {"checkpointName": "hz-1"}, "preflightOnly": False, "timeoutSeconds": 5}
    made = request("RestoreRequest", **{**known, "strategy": strategy, **spec})
    if status is not None:
        begun = {"checkpointName": "hz-1", "epoch": 41, "sourceGroup": GROUP, "group": GROUP}
        made["status"] = {**begun, "startTime": as_text(now()), "beforeEpoch": 0, **status}
    return api.put(kinds.RESTORE_REQUEST, made)


def run(
    site: Site,
    made: Manifest,
    *,
    deleted: bool = False,
    meanwhile: Callable[[], object] | None = None,
) -> Manifest:
    """Its status at the end; a moment after it began, something happens."""

    async def to_its_end() -> None:
        one = RestoreRunning(site, made)
        if deleted:
            one.deleted.set()
        if meanwhile is not None:
            asyncio.get_running_loop().call_later(0.05, meanwhile)
        async with asyncio.timeout(10):
            await one.run()

    with patch.multiple(
        running, _AGAIN_SECONDS=0.001, _ATTEMPT_SECONDS=0.2, _GIVING_UP_SECONDS=0.05
    ):
        asyncio.run(to_its_end())
    status: Manifest = made["status"]
    return status


def outcome(status: Manifest) -> tuple[str, str]:
    for kind in ("Complete", "Failed"):
        told = condition({"status": status}, kind)
        if told.get("status") == "True":
            return kind, told["reason"]
    raise AssertionError("it has not ended")


def replicas(api: FakeApi) -> int:
    found: int = api.objects["StatefulSet", "demo", "hz"]["spec"]["replicas"]
    return found
