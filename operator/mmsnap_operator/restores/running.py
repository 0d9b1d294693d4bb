"""One RestoreRequest carried out, from its checks to pods that are ready.

Every step looks first whether it was done already, so the whole can be run again from the start.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from mmsnap.errors import CorruptionError, NotFoundError
from mmsnap.pods.naming import group_of
from mmsnap_operator.checkpoints.identity import require_same
from mmsnap_operator.checkpoints.keeping import CORRUPT
from mmsnap_operator.checkpoints.record import conditions_of
from mmsnap_operator.checkpoints.recording import write_status
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.requests.ending import as_text, condition, deadline, now
from mmsnap_operator.requests.report import Report
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import require_same_place
from mmsnap_operator.restores.moving import RanOn, look
from mmsnap_operator.restores.origin import Origin, find_origin
from mmsnap_operator.restores.patience import TROUBLE, BrokenOff, refusal, unless
from mmsnap_operator.restores.preflight import require_budgets, require_ready
from mmsnap_operator.restores.strategies import STRATEGIES
from mmsnap_operator.restores.strategy import Plan, Strategy
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]
Result = TypeVar("Result")

_AGAIN_SECONDS: Final = 1.0
# So long an attempt may take that begins when there is hardly any time left, or none.
_ATTEMPT_SECONDS: Final = 5.0
_GIVING_UP_SECONDS: Final = 60.0
_ABORTS_MAX: Final = 3
_UNANSWERED: Final = Refused("AgentUnavailable", "no answer has come yet", lasting=False)


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
        self._strategy: Strategy = STRATEGIES[self._spec["strategy"]]()
        self._seen = now()
        self.deleted = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """From then on something may have been touched, and it is not simply broken off."""
        return bool(self._report.status.get("step"))

    async def run(self) -> None:
        """To its end; ApiError and aiohttp's errors, when not even that could be said: again."""
        try:
            origin = await self._patiently(lambda: find_origin(self._site, self._request))
            require_same_place(self._request, origin)
            group = self._target_group(origin)
            async with self._site.turns.turn(group, self._request, self._wait_for):
                await self._begin(origin, group)
                await self._carry_out(origin, group)
        except Refused as refused:
            words = refused.message
            if self.has_begun:
                words += await self._give_up()
            await self._report.failed(refused.reason, words, step=None)

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
        if not self.has_begun:
            await self._check(origin, group)
            passed = Condition("Preflight", True, "Passed", "nothing stands against it")
            if self._spec["preflightOnly"]:
                await self._report.complete("PreflightPassed", "it could be restored", passed)
                return
            await self._report.under_way("Preflight", "it can be restored", passed)
            if self.deleted.is_set():
                return
        # Checks may take long: what moved the group last is looked up when they are over.
        plan = await self._patiently(lambda: self._plan(origin, group))
        await self._do(plan)
        members = len(plan.taken.members)
        words = f"{members} members are as they were at {origin.name}"
        await self._report.complete("Restored", words, memberCount=members, awaited=None, step=None)

    async def _check(self, origin: Origin, group: str) -> None:
        plan = await self._patiently(lambda: self._plan(origin, group))
        await self._patiently(lambda: self._require_undamaged(plan))
        await self._patiently(self._require_ready)
        await self._patiently(lambda: self._strategy.check(self._site, plan))
        await self._patiently(lambda: self._require_budgets(origin))

    async def _plan(self, origin: Origin, group: str) -> Plan:
        """What is known before anything is done; Refused when the bytes are not there."""
        try:
            taken = await look(self._site, origin.group, origin.epoch)
            require_same(origin.checkpoint, taken)
        except NotFoundError as error:
            raise Refused("BytesGone", f"the agents have no checkpoint {origin.name}") from error
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

    async def _require_ready(self) -> None:
        """It may be otherwise than when it was admitted; one that goes meanwhile waits for us."""
        origin = await find_origin(self._site, self._request)
        if not (origin.checkpoint.get("metadata") or {}).get("deletionTimestamp"):
            require_ready(origin)

    async def _require_undamaged(self, plan: Plan) -> None:
        origin = plan.origin
        try:
            await self._site.agents.ask(
                lambda client: client.verify(origin.group, f"@{origin.epoch}", any_copy=True)
            )
        except CorruptionError as error:
            words = f"checkpoint {origin.name} is damaged: {error}"
            if origin.checkpoint:
                damaged = Condition("Ready", False, CORRUPT, words)
                await write_status(self._site.api, origin.checkpoint, {}, [damaged])
            raise Refused(CORRUPT, words) from error
        if condition(origin.checkpoint, "Ready").get("reason") == CORRUPT:
            # A copy was damaged that is mended now, or was not needed.
            conditions = conditions_of(plan.taken)
            await write_status(self._site.api, origin.checkpoint, {}, conditions)

    async def _do(self, plan: Plan) -> None:
        steps = self._strategy.steps
        names = [step.name for step in steps]
        begun = self._report.status.get("step")
        notes: Mapping[str, Any] = {}
        if not self.has_begun:
            noted = await self._patiently(lambda: self._strategy.notes(self._site, plan))
            notes = {"beforeEpoch": plan.before, **noted}
        for step in steps[names.index(begun) if begun in names else 0 :]:
            await self._report.under_way(
                step.name, step.about, step=step.name, awaited=None, **notes
            )
            await self._patiently(lambda step=step: step.do(self._site, plan))  # type: ignore[misc]

    async def _give_up(self) -> str:
        """Leave nothing half-way; what could not be mended, in words that follow others."""
        until = now() + datetime.timedelta(seconds=_GIVING_UP_SECONDS)
        while True:
            try:
                await self._strategy.give_up(self._site, self._request)
            except ApiError as error:
                why = refusal(error)
                if why.lasting or now() >= until:
                    return f". What was taken away could not be given back: {why.message}"
            else:
                return ""
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _patiently(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What comes of it, tried again while waiting can help and there is time; Refused."""
        aborts, why = 0, _UNANSWERED
        while True:
            if self.deleted.is_set():
                left = "" if why is _UNANSWERED else f": {why.message}"
                raise Refused("Deleted", f"the request was deleted meanwhile{left}")
            seconds = max(self._left_seconds(), _ATTEMPT_SECONDS)
            try:
                return await unless(self.deleted, work(), seconds)
            except BrokenOff:
                if self.deleted.is_set():
                    continue
            except TROUBLE as error:
                why = refusal(error)
                if isinstance(error, Refused):
                    # What else it says comes of agents that have done what they were asked for.
                    aborts = aborts + 1 if isinstance(error, RanOn) else 0
                if why.lasting or aborts >= _ABORTS_MAX:
                    raise await self._told(why) from error
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
        """Before it has its turn, of the time since this operator saw it."""
        limit = datetime.timedelta(seconds=self._spec["timeoutSeconds"])
        return ((deadline(self._request) or self._seen + limit) - now()).total_seconds()
