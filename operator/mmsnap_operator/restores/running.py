"""One RestoreRequest carried out, from its checks to pods that are ready.

Every step looks first whether it was done already, so the whole can be run again from the start.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mmsnap.errors import AbortedError, CorruptionError, NotFoundError
from mmsnap.pods.naming import group_of
from mmsnap_operator.checkpoints.identity import require_same
from mmsnap_operator.checkpoints.keeping import CORRUPT
from mmsnap_operator.checkpoints.recording import write_status
from mmsnap_operator.cluster import kinds
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.requests.ending import as_text, deadline, now
from mmsnap_operator.requests.failures import AGENT_ERRORS, refusal_of
from mmsnap_operator.requests.report import Report
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import require_same_place
from mmsnap_operator.restores.moving import look
from mmsnap_operator.restores.origin import Origin, find_origin
from mmsnap_operator.restores.preflight import require_budgets
from mmsnap_operator.restores.strategies import STRATEGIES
from mmsnap_operator.restores.strategy import Plan, Strategy
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

_AGAIN_SECONDS: Final = 1.0
_ABORTS_MAX: Final = 3


class RestoreRunning:
    """Of one request.

    Attributes:
        deleted: set when the request is being deleted: nothing is waited for any more, and what
            was taken away is given back.
    """

    def __init__(self, site: Site, request: Manifest) -> None:
        """Nothing is asked yet."""
        self._site = site
        self._report = Report(site.api, kinds.RESTORE_REQUEST, request)
        self._request = self._report.manifest
        self._spec: Manifest = request["spec"]
        self._namespace: str = request["metadata"]["namespace"]
        self.deleted = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """From then on something may have been touched, and it is not simply broken off."""
        return bool(self._report.status.get("step"))

    async def run(self) -> None:
        """To its end; ApiError and aiohttp's errors: to be run again."""
        try:
            origin = await self._origin()
            require_same_place(self._request, origin)
            group = self._target_group(origin)
            async with self._site.turns.turn(group, self._request, self._wait_for):
                await self._begin(origin, group)
                await self._carry_out(origin, group)
        except Refused as refused:
            await self._report.failed(refused.reason, refused.message, **_nothing_more())

    async def _origin(self) -> Origin:
        try:
            return await find_origin(self._site, self._request)
        except AGENT_ERRORS as error:
            raise refusal_of(error) from error

    def _target_group(self, origin: Origin) -> str:
        if self._spec["strategy"] != "Clone":
            return origin.group
        return group_of(self._namespace, self._spec["target"]["name"])

    async def _wait_for(self, holder: str) -> None:
        await self._report.under_way("Waiting", f"{holder} is under way in the same group")

    async def _begin(self, origin: Origin, group: str) -> None:
        if not self._report.status.get("group"):
            await self._report.under_way(
                "Preflight",
                "looking whether it can be",
                checkpointName=origin.name,
                epoch=origin.epoch,
                sourceGroup=origin.group,
                group=group,
                startTime=as_text(now()),
            )

    async def _carry_out(self, origin: Origin, group: str) -> None:
        strategy = STRATEGIES[self._spec["strategy"]]()
        if not self.has_begun:
            plan = await self._patiently(lambda: self._plan(origin, group))
            await self._patiently(lambda: strategy.check(self._site, plan), "Preflight")
            await self._patiently(lambda: self._require_budgets(origin), "Preflight")
            passed = Condition("Preflight", True, "Passed", "nothing stands against it")
            if self._spec["preflightOnly"]:
                await self._report.complete("PreflightPassed", "it could be restored", passed)
                return
            await self._report.under_way("Preflight", "it can be restored", passed)
            if self.deleted.is_set():
                return
        plan = await self._patiently(lambda: self._plan(origin, group))
        await self._do(strategy, plan)
        members = len(plan.taken.members)
        words = f"{members} members are as they were at {origin.name}"
        await self._report.complete("Restored", words, memberCount=members, **_nothing_more())

    async def _plan(self, origin: Origin, group: str) -> Plan:
        """What is known before anything is done; Refused when the bytes are not there."""
        try:
            taken = await look(self._site, origin.group, origin.epoch)
            require_same(origin.checkpoint, taken)
        except NotFoundError as error:
            raise Refused("BytesGone", f"the agents have no checkpoint {origin.name}") from error
        if not self.has_begun:
            await self._require_undamaged(origin)
        return Plan(
            request=self._request,
            origin=origin,
            taken=taken,
            group=group,
            before=self._before(taken, group, origin),
        )

    async def _require_budgets(self, origin: Origin) -> None:
        await require_budgets(self._site.api, self._namespace, self._spec, origin)

    def _before(self, taken: GroupCheckpoint, group: str, origin: Origin) -> int:
        """What moved the group's head before this request; a new group begins at nothing."""
        known = self._report.status.get("beforeEpoch")
        if known is not None:
            return int(known)
        return taken.restore_epoch if group == origin.group else 0

    async def _require_undamaged(self, origin: Origin) -> None:
        try:
            await self._site.agents.ask(
                lambda client: client.verify(origin.group, f"@{origin.epoch}")
            )
        except CorruptionError as error:
            words = f"checkpoint {origin.name} is damaged: {error}"
            if origin.checkpoint:
                damaged = Condition("Ready", False, CORRUPT, words)
                await write_status(self._site.api, origin.checkpoint, {}, [damaged])
            raise Refused(CORRUPT, words) from error

    async def _do(self, strategy: Strategy, plan: Plan) -> None:
        begun = self._report.status.get("step")
        names = [step.name for step in strategy.steps]
        first = names.index(begun) if begun in names else 0
        for step in strategy.steps[first:]:
            await self._report.under_way(
                step.name, step.about, step=step.name, beforeEpoch=plan.before
            )
            try:
                await self._patiently(lambda step=step: step.do(self._site, plan), step.name)  # type: ignore[misc]
            except Refused:
                await strategy.give_up(self._site, plan, step.name)
                raise

    async def _patiently(self, work: Callable[[], Awaitable[Any]], reason: str = "") -> Any:
        """What comes of it, tried again while waiting can help and there is time; Refused."""
        aborts = 0
        while True:
            try:
                return await work()
            except AGENT_ERRORS as error:
                aborts += isinstance(error, AbortedError)
                why = refusal_of(error)
                if why.lasting or aborts >= _ABORTS_MAX:
                    raise await self._told(why) from error
            except Refused as refused:
                why = refused
                if why.lasting:
                    raise await self._told(why) from refused
            if self.deleted.is_set():
                raise Refused("Deleted", f"the request was deleted meanwhile: {why.message}")
            if self._left_seconds() <= 0:
                raise await self._told(Refused(why.reason, f"not in time: {why.message}"))
            await self._report.under_way(why.reason, why.message, awaited=list(why.awaited))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _told(self, why: Refused) -> Refused:
        """A refusal before anything was touched is one of the preflight."""
        if not self.has_begun:
            failed = Condition("Preflight", False, why.reason, why.message)
            await self._report.under_way(why.reason, why.message, failed)
        return why

    def _left_seconds(self) -> float:
        until = deadline(self._request) or now() + datetime.timedelta(seconds=1)
        return (until - now()).total_seconds()


def _nothing_more() -> dict[str, Any]:
    return {"step": None}
