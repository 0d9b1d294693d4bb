"""A schedule of a minute or more: a CheckpointRequest a run, Checkpoints until they are let go.

Nothing is remembered between looks: which run is due is told by the time of the last one, and the
request of a run has a name of its own, so that it is made once, however often somebody looks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.requests.ending import as_text, condition, instant
from mmsnap_operator.schedules.group import group_of_source
from mmsnap_operator.schedules.restores import restore_under_way
from mmsnap_operator.schedules.retention import superfluous
from mmsnap_operator.schedules.runs import Runs, key_of, request_of, runs_of
from mmsnap_operator.schedules.timing import Cron, Interval
from mmsnap_operator.service import Agents
from mmsnap_operator.workloads.refusals import Refused

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

_CONFLICT: Final = 409
_LABEL_MAX: Final = 63


class RequestedRuns:
    """One look at one schedule."""

    def __init__(self, api: Api, agents: Agents, schedule: Manifest, now: datetime) -> None:
        self._api = api
        self._agents = agents
        self._schedule = schedule
        self._metadata: Manifest = schedule["metadata"]
        self._spec: Manifest = schedule["spec"]
        self._status: Manifest = schedule.get("status") or {}
        self._now = now

    async def look(self, timing: Interval | Cron) -> tuple[Condition, dict[str, Any]]:
        """Begin what is due, let go what is to go; how it goes. Refused."""
        namespace = self._metadata["namespace"]
        requests = await self._api.list(kinds.CHECKPOINT_REQUEST, namespace)
        runs = runs_of(requests, self._metadata["uid"])
        failures = runs.failures(int(self._status.get("consecutiveFailures", 0)))
        restore = await self._restore()
        fields: dict[str, Any] = {"consecutiveFailures": failures, **_success(runs)}
        active = runs.active[0]["metadata"]["name"] if runs.active else None
        due = timing.due(self._since(), self._now)
        if due is not None and not self._spec.get("suspend") and not restore:
            begun = await self._begin(due, runs, failures)
            active = begun or active
            if begun or self._spec.get("concurrencyPolicy", "Forbid") == "Forbid":
                fields["lastScheduleTime"] = as_text(due)
        for one in runs.superfluous:
            await self._api.delete(kinds.CHECKPOINT_REQUEST, one["metadata"]["name"], namespace)
        kept = await self._checkpoints()
        fields["checkpointCount"] = len(kept) - (0 if restore else await self._let_go(kept))
        coming = timing.next(self._since(), self._now)
        fields["nextTime"] = None if coming is None else as_text(coming)
        fields["activeRequest"] = active
        return self._condition(runs, failures, restore), fields

    def _since(self) -> datetime:
        """When the last run was due."""
        return instant(self._status.get("lastScheduleTime") or self._metadata["creationTimestamp"])

    async def _restore(self) -> str:
        metadata = self._metadata
        restores = await self._api.list(kinds.RESTORE_REQUEST)
        if not restores:
            return ""
        try:
            wanted = self._spec["template"]["spec"]["source"]
            group = await group_of_source(self._api, metadata["namespace"], wanted)
        except Refused:
            group = "?"  # the name of none
        return restore_under_way(restores, metadata["namespace"], metadata["name"], group)

    async def _begin(self, due: datetime, runs: Runs, failures: int) -> str | None:
        """The name of the request that was made; None: the one before is under way still."""
        namespace = self._metadata["namespace"]
        for one in runs.active:
            if self._spec.get("concurrencyPolicy", "Forbid") == "Forbid":
                log.info("%s: a run is left out", key_of(self._metadata))
                return None
            await self._api.delete(kinds.CHECKPOINT_REQUEST, one["metadata"]["name"], namespace)
        if runs.active:
            return None
        request = request_of(self._schedule, due, failures)
        name: str = request["metadata"]["name"]
        try:
            await self._api.create(request)
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
        return name

    async def _checkpoints(self) -> Sequence[Manifest]:
        """The Checkpoints that its runs made."""
        key, namespace = key_of(self._metadata), self._metadata["namespace"]
        if len(key) <= _LABEL_MAX:
            return await self._api.list(kinds.CHECKPOINT, namespace, {SCHEDULE_LABEL: key})
        # No label is so long; the catalog has it.
        everything = await self._agents.ask(lambda client: client.checkpoints())
        own = {(c.group, c.epoch) for c in everything if c.labels.get(SCHEDULE_LABEL) == key}
        found = await self._api.list(kinds.CHECKPOINT, namespace)
        return [one for one in found if (one["spec"]["group"], one["spec"]["epoch"]) in own]

    async def _let_go(self, kept: Sequence[Manifest]) -> int:
        """Deletes what retention does not keep, with its bytes; how many.

        One that was changed since it was looked at stays: it may have been pinned.
        """
        namespace = self._metadata["namespace"]
        count = 0
        for one in superfluous(kept, self._spec, self._now):
            name = one["metadata"]["name"]
            seen = {"resourceVersion": one["metadata"]["resourceVersion"]}
            policy = {"metadata": seen, "spec": {"deletionPolicy": "Delete"}}
            try:
                patched = await self._api.patch(kinds.CHECKPOINT, name, namespace, policy)
                version = patched["metadata"]["resourceVersion"]
                count += await self._api.delete(kinds.CHECKPOINT, name, namespace, version)
            except ApiError as error:
                log.warning("%s/%s: %s", namespace, name, error)
                continue
            log.info("%s: Checkpoint %s is let go", key_of(self._metadata), name)
        return count

    def _condition(self, runs: Runs, failures: int, restore: str) -> Condition:
        if self._spec.get("suspend"):
            return Condition("Ready", True, "Suspended", "none is taken")
        if restore:
            return Condition("Ready", True, "Suspended", f"RestoreRequest {restore} is under way")
        if failures and runs.finished:
            why = condition(runs.finished[0], "Failed")
            words = f"{failures} in a row failed, the last one: {why.get('message', '')}"
            return Condition("Ready", False, "Failing", words)
        if runs.active:
            return Condition("Ready", True, "Running", "a request is under way")
        return Condition("Ready", True, "Scheduled", "the next one is due at status.nextTime")


def _success(runs: Runs) -> dict[str, Any]:
    request = runs.success
    if request is None:
        return {}
    status = request["status"]
    return {
        "lastSuccessTime": status.get("completionTime"),
        "lastCheckpointName": status.get("checkpointName"),
    }
