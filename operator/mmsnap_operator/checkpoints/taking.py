"""One CheckpointRequest carried out; whoever does it again from the start takes no second one.

Before anything is taken the catalog is asked for the request's own name. So it does not matter
where an operator died: after the call, before the object was made, before the status was written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from mmsnap.errors import NotFoundError, UnsupportedError
from mmsnap.pods.naming import group_of
from mmsnap_operator.checkpoints.cut import Cut, as_of
from mmsnap_operator.checkpoints.limit import Limit
from mmsnap_operator.checkpoints.record import measured
from mmsnap_operator.checkpoints.recording import record_checkpoint
from mmsnap_operator.checkpoints.wishes import is_durable_enough, shortfall
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_operator.requests.ending import as_text, now
from mmsnap_operator.requests.failures import AGENT_ERRORS, refusal_of
from mmsnap_operator.requests.report import Report
from mmsnap_operator.requests.site import Site
from mmsnap_operator.workloads.pods import Owner
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.source import Source, find_source
from mmsnap_sdk import calls
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

_AGAIN_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 5
# So much longer an API server that refuses is asked again for what has been taken.
_GRACE_SECONDS: Final = 60.0


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
        self.deleted = asyncio.Event()
        self._limit = Limit(self._request, self.deleted)
        self._cut = Cut(site, self._report, self._limit)

    @property
    def has_begun(self) -> bool:
        """From then on it is not broken off, but brought to an end."""
        return bool(self._report.status.get("group"))

    async def run(self) -> None:
        """To its end; ApiError and aiohttp's errors: to be run again."""
        try:
            group, owner = await self._found()
            async with self._site.turns.turn(group, self._request, self._wait_for):
                await self._begin(group, owner)
                await self._carry_out(group, owner)
        except Refused as refused:
            await self._report.failed(refused.reason, refused.message)
        except ApiError as error:
            if self._limit.left_seconds > -_GRACE_SECONDS:
                raise
            await self._report.failed("ApiServer", f"not in time: {error}")

    async def _found(self) -> tuple[str, Owner]:
        """Group and workload, as soon as there are pods to tell them by; Refused."""
        while True:
            try:
                return await self._group()
            except Refused as refused:
                if refused.lasting:
                    raise
                if self._limit.is_over:
                    words = f"not in time: {refused.message}"
                    raise Refused(refused.reason, words) from refused
                begun = self._report.status.get("startTime") or as_text(now())
                await self._report.under_way(refused.reason, refused.message, startTime=begun)
            await asyncio.sleep(_AGAIN_SECONDS)

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
        taken = await self._cut.found_or_made(group)
        if taken is None:
            return
        source = self._cut.source or await self._source_again(taken)
        name = await self._record(source, taken, owner)
        trouble = None
        try:
            taken = await self._durable(taken, name)
        except UnsupportedError as error:
            trouble = refusal_of(error)
        await self._record(source, taken, owner)
        fields = {"checkpointName": name, **measured(taken)}
        wanted = self._report.status.get("members") or ()
        trouble = trouble or shortfall(self._spec, taken, wanted)
        if trouble is not None:
            await self._report.failed(trouble.reason, trouble.message, **fields)
            return
        pause = fields["pauseMilliseconds"]
        words = f"Checkpoint {name}: {len(taken.members)} members, longest pause {pause} ms"
        await self._report.complete("Committed", words, **fields)

    async def _source_again(self, taken: GroupCheckpoint) -> Source | None:
        """For what an operator before this one took: without pods that are others by now."""
        try:
            found = await find_source(self._site.api, self._namespace, self._spec["source"])
        except Refused as refused:
            log.warning("%s: without a template: %s", taken.name, refused.message)
            return None
        return as_of(found, taken)

    async def _durable(self, taken: GroupCheckpoint, name: str) -> GroupCheckpoint:
        """As durable as was asked for, or as it is when the time is over; Refused."""
        if not is_durable_enough(self._spec, taken):
            words = f"Checkpoint {name} is {taken.durability.capitalize()}"
            await self._report.under_way("Replicating", words, checkpointName=name)
        wanted = self._spec["durability"].lower()
        while (
            not is_durable_enough(self._spec, taken)
            and not self._limit.is_over
            and not self.deleted.is_set()
        ):
            wait_ns = int(min(self._limit.left_seconds, _WAIT_SECONDS) * 1e9)
            call = calls.wait_for(taken.group, taken.epoch, wanted, wait_ns)
            try:
                taken = await self._limit.within(
                    self._site.agents.ask(lambda client, call=call: client.ask(call))  # type: ignore[misc]
                )
            except UnsupportedError:
                raise
            except NotFoundError as error:
                raise Refused(
                    "BytesGone", f"Checkpoint {name} was deleted while its copies were made"
                ) from error
            except AGENT_ERRORS as error:
                log.info("%s: %s", taken.name, error)
                await asyncio.sleep(_AGAIN_SECONDS)
        return taken

    async def _record(self, source: Source | None, taken: GroupCheckpoint, owner: Owner) -> str:
        return await record_checkpoint(
            self._site.api, source, self._namespace, owner, taken, self._spec["deletionPolicy"]
        )
