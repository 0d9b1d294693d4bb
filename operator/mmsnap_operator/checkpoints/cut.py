"""The cut that a request asks for: looked for in the catalog, and made when it is not there.

An agent that does not answer may be making it all the same, and so may one that was asked by an
operator which died. While that is in doubt nothing is given up: it may turn up in the catalog.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mmsnap.errors import (
    AbortedError,
    AgentUnavailableError,
    BusyError,
    MmsnapError,
    NotFoundError,
)
from mmsnap_operator.checkpoints.limit import Limit
from mmsnap_operator.checkpoints.naming import catalog_name
from mmsnap_operator.checkpoints.preflight import require_harmless
from mmsnap_operator.checkpoints.wishes import attached, replicas_of, require_possible
from mmsnap_operator.cluster import ApiError
from mmsnap_operator.names import REQUEST_LABEL, SCHEDULE_LABEL
from mmsnap_operator.requests.ending import COMPLETE
from mmsnap_operator.requests.failures import AGENT_ERRORS, refusal_of
from mmsnap_operator.requests.report import Report
from mmsnap_operator.requests.site import Site
from mmsnap_operator.workloads.pods import runs_since
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.source import Source, find_source, require_members
from mmsnap_sdk.async_client import AsyncClient
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

TAKING: Final = "Taking"
_AGAIN_SECONDS: Final = 1.0
_ABORTS_MAX: Final = 3
_HOOKS_SECONDS: Final = 60
# A request whose time is over still looks once, for so long.
_LOOK_SECONDS: Final = 10.0
# Longer than the agents' own budgets for a cut.
_DOUBT_SECONDS: Final = 400.0


class Cut:
    """Of one request.

    Attributes:
        source: the workload that was looked at, as it was at the cut; None: another operator did.
    """

    def __init__(self, site: Site, report: Report, limit: Limit) -> None:
        """Nothing is asked yet."""
        self._site = site
        self._report = report
        self._limit = limit
        self._request: Manifest = report.manifest
        self._spec: Manifest = self._request["spec"]
        self._name = catalog_name(self._request)
        self._is_missing = False  # in the catalog, at the last look
        self._aborts = 0
        self._why = Refused("DeadlineExceeded", "it was not begun in time", lasting=False)
        self._doubtful_until = float("-inf")
        self.source: Source | None = None

    async def found_or_made(self, group: str) -> GroupCheckpoint | None:
        """The checkpoint; None: there is none, and the request is being deleted. Refused."""
        if self._report.said(COMPLETE).get("reason") == TAKING:
            self._doubt()
        deleted = self._limit.deleted
        while True:
            found = await self._look(group)
            is_ending = deleted.is_set() or self._limit.is_over
            if self._is_missing and not (is_ending or self._why.lasting):
                found = await self._attempt(group)
            if found is not None:
                return found
            if deleted.is_set() and (self._limit.is_over or not self._is_in_doubt):
                return None
            if self._limit.is_over:
                raise self._too_late()
            if self._why.lasting and not self._is_in_doubt:
                raise self._why
            await self._tell()
            await asyncio.sleep(_AGAIN_SECONDS)

    # ---- what is in the catalog ----

    async def _look(self, group: str) -> GroupCheckpoint | None:
        """What was taken for this request already; Refused when its name is another one's."""
        self._is_missing = False
        try:
            found = await self._limit.within(
                self._site.agents.ask(lambda client: client.find(group, self._name)),
                _LOOK_SECONDS,
            )
        except NotFoundError:
            self._is_missing = True
            return None
        except (*AGENT_ERRORS, ApiError) as error:
            self._note(_passing(error))
            return None
        if found.labels.get(REQUEST_LABEL) != self._request["metadata"]["uid"]:
            raise Refused("NameTaken", f"group {group} has another checkpoint {self._name}")
        if self.source is not None:
            self.source = as_of(self.source, found)
        return found

    # ---- making it ----

    async def _attempt(self, group: str) -> GroupCheckpoint | None:
        """None: it did not come about, and why is noted."""
        try:
            members = await self._limit.within(self._prepare(group))
            words = f"checkpoint {self._name} of group {group}"
            await self._report.under_way(TAKING, words, members=members)
        except Refused as refused:
            self._note(refused)
            return None
        except ApiError as error:
            self._note(_passing(error))
            return None
        except AGENT_ERRORS as error:
            self._note(refusal_of(error))
            return None
        try:
            return await self._limit.within(self._take(group))
        except FileExistsError:
            return None
        except AGENT_ERRORS as error:
            self._note(self._judged(error))
            return await self._look(group) if self._is_in_doubt else None

    async def _prepare(self, group: str) -> list[str]:
        """The members; Refused, unless all are there and can give what is asked for."""
        source = await find_source(
            self._site.api, self._request["metadata"]["namespace"], self._spec["source"]
        )
        if source.group != group:
            raise Refused("SourceChanged", f"the pods are of group {source.group} now")
        require_members(source)
        await require_harmless(self._site.api, source, self._spec)
        try:
            known = await self._site.agents.ask(lambda client: client.members(group))
        except NotFoundError:
            known = []
        require_possible(self._spec, attached(source.members, known))
        self.source = source
        return [member.name for member in source.members]

    async def _take(self, group: str) -> GroupCheckpoint:
        metadata = self._request["metadata"]
        labels = {REQUEST_LABEL: metadata["uid"]}
        known = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
        if SCHEDULE_LABEL in known:
            labels[SCHEDULE_LABEL] = known[SCHEDULE_LABEL]
        hooks_seconds = max(1, min(int(self._limit.left_seconds), _HOOKS_SECONDS))
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

    # ---- when it did not come about ----

    def _judged(self, error: Exception) -> Refused:
        """Of what came out of the cut itself."""
        if isinstance(error, AgentUnavailableError) or type(error) in (TimeoutError, MmsnapError):
            self._doubt()
        reason = refusal_of(error)
        if isinstance(error, AbortedError) and not isinstance(error, BusyError):
            self._aborts += 1
            if self._aborts >= _ABORTS_MAX:
                return Refused(reason.reason, reason.message)
        return reason

    def _note(self, why: Refused) -> None:
        """The first that lasts is the one that counts."""
        if not self._why.lasting:
            self._why = why

    def _doubt(self) -> None:
        self._doubtful_until = asyncio.get_running_loop().time() + _DOUBT_SECONDS

    @property
    def _is_in_doubt(self) -> bool:
        return asyncio.get_running_loop().time() < self._doubtful_until

    def _too_late(self) -> Refused:
        words = f"not in time: {self._why.message}"
        if self._is_in_doubt:
            words += f"; the agents may still take {self._name}: it has no Checkpoint object then"
        return Refused(self._why.reason, words)

    async def _tell(self) -> None:
        if self._is_in_doubt:
            words = f"what became of checkpoint {self._name} is not known yet: {self._why.message}"
            await self._report.under_way(TAKING, words)
        else:
            await self._report.under_way(self._why.reason, self._why.message)


def as_of(source: Source, taken: GroupCheckpoint) -> Source:
    """Of a cut that was made earlier: without the pods that run only since."""
    return replace(source, pods=[pod for pod in source.pods if not runs_since(pod, taken.created)])


def _passing(error: Exception) -> Refused:
    """Why nobody could be asked, for the time being."""
    reason = "ApiServer" if isinstance(error, ApiError) else refusal_of(error).reason
    return Refused(reason, str(error) or "no answer came in time", lasting=False)
