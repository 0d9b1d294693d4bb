"""One CheckpointRequest carried out; whoever does it again from the start takes no second one.

Before anything is taken the catalog is asked for the request's own name. So it does not matter
where an operator died: after the call, before the object was made, before the status was written.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Mapping
from typing import Any, Final

from mmsnap.errors import AbortedError, NotFoundError, UnsupportedError
from mmsnap.pods.naming import group_of
from mmsnap_operator.checkpoints.naming import catalog_name
from mmsnap_operator.checkpoints.preflight import require_harmless
from mmsnap_operator.checkpoints.record import measured
from mmsnap_operator.checkpoints.recording import record_checkpoint
from mmsnap_operator.checkpoints.wishes import (
    attached,
    is_durable_enough,
    replicas_of,
    require_possible,
    shortfall,
)
from mmsnap_operator.cluster import kinds
from mmsnap_operator.names import REQUEST_LABEL, SCHEDULE_LABEL
from mmsnap_operator.requests.ending import as_text, deadline, now
from mmsnap_operator.requests.failures import AGENT_ERRORS, refusal_of
from mmsnap_operator.requests.report import Report
from mmsnap_operator.requests.site import Site
from mmsnap_operator.workloads.pods import Owner
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.source import Source, find_source, require_members
from mmsnap_sdk import calls
from mmsnap_sdk.async_client import AsyncClient
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

_AGAIN_SECONDS: Final = 1.0
_ABORTS_MAX: Final = 3
_WAIT_SECONDS: Final = 5
_HOOKS_SECONDS: Final = 60


class CheckpointTaking:
    """Of one request.

    Attributes:
        deleted: set when the request is being deleted: what is under way is ended cleanly.
    """

    def __init__(self, site: Site, request: Manifest) -> None:
        """Nothing is asked yet."""
        self._site = site
        self._report = Report(site.api, kinds.CHECKPOINT_REQUEST, request)
        self._request = self._report.manifest
        self._spec: Manifest = request["spec"]
        self._namespace: str = request["metadata"]["namespace"]
        self._name = catalog_name(request)
        self._source: Source | None = None
        self.deleted = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """From then on it is not broken off, but brought to an end."""
        return bool(self._report.status.get("group"))

    async def run(self) -> None:
        """To its end; ApiError and aiohttp's errors: to be run again."""
        try:
            group, owner = await self._group()
            async with self._site.turns.turn(group, self._request, self._wait_for):
                await self._begin(group, owner)
                await self._carry_out(group, owner)
        except Refused as refused:
            await self._report.failed(refused.reason, refused.message)

    async def _group(self) -> tuple[str, Owner]:
        """As it was when the request began, else by its source."""
        known = self._report.status
        if known.get("group"):
            kind, _, name = known["workload"].partition("/")
            return group_of(self._namespace, name), Owner(kind, name)
        source = await find_source(self._site.api, self._namespace, self._spec["source"])
        return source.group, source.owner

    async def _begin(self, group: str, owner: Owner) -> None:
        if not self.has_begun:
            await self._report.under_way(
                "Preparing",
                "looking at the members",
                group=group,
                workload=f"{owner.kind}/{owner.name}",
                startTime=as_text(now()),
            )

    async def _wait_for(self, holder: str) -> None:
        await self._report.under_way("Waiting", f"{holder} is under way in the same group")

    async def _carry_out(self, group: str, owner: Owner) -> None:
        taken = await self._taken(group)
        if taken is None:
            return
        if self._source is None:
            self._source = await self._source_again()
        name = await self._record(taken, owner)
        trouble = None
        try:
            taken = await self._durable(taken, name)
        except UnsupportedError as error:
            trouble = refusal_of(error)
        await self._record(taken, owner)
        fields = {"checkpointName": name, **measured(taken)}
        trouble = trouble or shortfall(self._spec, taken)
        if trouble is not None:
            await self._report.failed(trouble.reason, trouble.message, **fields)
            return
        pause = fields["pauseMilliseconds"]
        words = f"Checkpoint {name}: {len(taken.members)} members, longest pause {pause} ms"
        await self._report.complete("Committed", words, **fields)

    # ---- taking it ----

    async def _taken(self, group: str) -> GroupCheckpoint | None:
        """The checkpoint; None: there is none, and the request is being deleted. Refused."""
        reason = Refused("DeadlineExceeded", "it was not begun in time")
        aborts = 0
        while True:
            try:
                found = await self._committed(group)
                if found is not None or self.deleted.is_set():
                    return found
                if self._left_seconds() <= 0:
                    raise Refused(reason.reason, f"not in time: {reason.message}")
                await self._prepare(group)
                return await self._take(group)
            except FileExistsError:
                continue
            except AGENT_ERRORS as error:
                aborts += isinstance(error, AbortedError)
                reason = refusal_of(error)
                if reason.lasting or aborts >= _ABORTS_MAX:
                    raise reason from error
            except Refused as refused:
                if refused.lasting:
                    raise
                reason = refused
            await self._report.under_way(reason.reason, reason.message)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _committed(self, group: str) -> GroupCheckpoint | None:
        """What was taken for this request already."""
        try:
            found = await self._site.agents.ask(lambda client: client.find(group, self._name))
        except NotFoundError:
            return None
        if found.labels.get(REQUEST_LABEL) != self._request["metadata"]["uid"]:
            raise Refused("NameTaken", f"group {group} has another checkpoint {self._name}")
        return found

    async def _prepare(self, group: str) -> None:
        """Refused, unless all members are there and can give what is asked for."""
        source = await find_source(self._site.api, self._namespace, self._spec["source"])
        if source.group != group:
            raise Refused("SourceChanged", f"the pods are of group {source.group} now")
        require_members(source)
        await require_harmless(self._site.api, source, self._spec)
        try:
            known = await self._site.agents.ask(lambda client: client.members(group))
        except NotFoundError:
            known = []
        require_possible(self._spec, attached(source.members, known))
        self._source = source

    async def _take(self, group: str) -> GroupCheckpoint:
        await self._report.under_way("Taking", f"checkpoint {self._name} of group {group}")
        labels = {REQUEST_LABEL: self._request["metadata"]["uid"]}
        metadata = self._request["metadata"]
        known = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
        if SCHEDULE_LABEL in known:
            labels[SCHEDULE_LABEL] = known[SCHEDULE_LABEL]
        hooks_seconds = max(1, min(int(self._left_seconds()), _HOOKS_SECONDS))
        pause = self._spec.get("maxPauseMilliseconds", 0)

        async def take(client: AsyncClient) -> GroupCheckpoint:
            return await client.checkpoint(
                group,
                self._name,
                labels=labels,
                wait="durable" if self._spec["durability"] == "Durable" else "captured",
                timeout=f"{hooks_seconds}s",
                max_pause=f"{pause}ms" if pause else None,
                replicas=replicas_of(self._spec),
            )

        return await self._site.agents.once(take)

    # ---- after it was taken ----

    async def _source_again(self) -> Source | None:
        """For what an operator before this one took: the pods may be others by now."""
        try:
            return await find_source(self._site.api, self._namespace, self._spec["source"])
        except Refused as refused:
            log.warning("%s: without a template: %s", self._name, refused.message)
            return None

    async def _durable(self, taken: GroupCheckpoint, name: str) -> GroupCheckpoint:
        """As durable as was asked for, or as it is when the time is over."""
        if not is_durable_enough(self._spec, taken):
            words = f"Checkpoint {name} is {taken.durability.capitalize()}"
            await self._report.under_way("Replicating", words, checkpointName=name)
        wanted = self._spec["durability"].lower()
        while (
            not is_durable_enough(self._spec, taken)
            and self._left_seconds() > 0
            and not self.deleted.is_set()
        ):
            wait_ns = int(min(self._left_seconds(), _WAIT_SECONDS) * 1e9)
            call = calls.wait_for(taken.group, taken.epoch, wanted, wait_ns)
            try:
                taken = await self._site.agents.ask(lambda client, call=call: client.ask(call))  # type: ignore[misc]
            except UnsupportedError:
                raise
            except AGENT_ERRORS as error:
                log.info("%s: %s", self._name, error)
                await asyncio.sleep(_AGAIN_SECONDS)
        return taken

    async def _record(self, taken: GroupCheckpoint, owner: Owner) -> str:
        return await record_checkpoint(
            self._site.api,
            self._source,
            self._namespace,
            owner,
            taken,
            self._spec["deletionPolicy"],
        )

    def _left_seconds(self) -> float:
        until = deadline(self._request) or now() + datetime.timedelta(seconds=1)
        return (until - now()).total_seconds()
