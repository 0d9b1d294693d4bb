"""One look at a CheckpointSchedule: what is to be done is done, and its status says how it goes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from mmsnap.errors import AgentUnavailableError
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.requests.ending import instant, now
from mmsnap_operator.requests.failures import AGENT_ERRORS, refusal_of
from mmsnap_operator.schedules.by_agents import drop_from_agents, keep_by_agents
from mmsnap_operator.schedules.by_requests import RequestedRuns
from mmsnap_operator.schedules.report import write_status
from mmsnap_operator.schedules.runs import key_of
from mmsnap_operator.schedules.timing import Interval, timing_of
from mmsnap_operator.service import Agents
from mmsnap_operator.workloads.refusals import Refused

log = logging.getLogger(__name__)

MIRROR_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 15.0

Manifest = Mapping[str, Any]


async def look(api: Api, agents: Agents, namespace: str, name: str) -> float:
    """Returns after how many seconds to look again, at the latest; ApiError."""
    schedule = await api.get(kinds.CHECKPOINT_SCHEDULE, name, namespace)
    if schedule is None or schedule["metadata"].get("deletionTimestamp"):
        return LOOK_SECONDS
    wait_seconds = MIRROR_SECONDS
    fields: dict[str, Any] = {}
    try:
        timing = timing_of(schedule["spec"])
        if isinstance(timing, Interval) and timing.is_of_agents:
            ready, fields = await keep_by_agents(api, agents, schedule, timing)
            fields["nextTime"] = fields["activeRequest"] = None
        else:
            if is_from_agents(schedule) and not await _is_let_go(agents, schedule):
                # By the status as it is the next look knows that they may have it still.
                return MIRROR_SECONDS
            ready, fields = await RequestedRuns(api, agents, schedule, now()).look(timing)
            wait_seconds = _until(fields.get("nextTime"))
    except Refused as refused:
        ready = Condition("Ready", False, refused.reason, refused.message)
    except AGENT_ERRORS as error:
        refusal = refusal_of(error)
        ready = Condition("Ready", False, refusal.reason, refusal.message)
    await write_status(api, schedule, ready, fields)
    return wait_seconds


async def end(api: Api, agents: Agents, schedule: Manifest) -> None:
    """It is being deleted: nobody keeps it any more. Errors of the agents: again later."""
    try:
        await drop_from_agents(agents, key_of(schedule["metadata"]))
    except AgentUnavailableError:
        # Without a MemoryMachine there are no agents, and will be none.
        if await api.list(kinds.MEMORY_MACHINE):
            raise


def is_from_agents(schedule: Manifest) -> bool:
    """Whether the agents may keep it since before its interval was made longer."""
    generation: int = schedule["metadata"].get("generation", 1)
    told = (schedule.get("status") or {}).get("conditions") or ()
    return generation > 1 and all(one.get("observedGeneration") != generation for one in told)


async def _is_let_go(agents: Agents, schedule: Manifest) -> bool:
    """Whether the agents keep it no more; False: it could not be done."""
    try:
        await drop_from_agents(agents, key_of(schedule["metadata"]))
    except AGENT_ERRORS as error:
        log.warning("the agents may keep %s still: %s", key_of(schedule["metadata"]), error)
        return False
    return True


def _until(coming: str | None) -> float:
    """Seconds to the next run, or to the next look."""
    if coming is None:
        return LOOK_SECONDS
    return min(max((instant(coming) - now()).total_seconds(), 0.2), LOOK_SECONDS)
