"""A schedule under a minute: kept by the agents, set here as the object says, and told back.

Nothing is remembered between looks. Whoever changed it behind the operator's back finds it as the
object says again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mmsnap.errors import NotFoundError
from mmsnap_operator.checkpoints.wishes import require_possible
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.schedules.agents_schedule import (
    Wanted,
    condition_of,
    fields_of,
    require_ours,
    wanted_of,
)
from mmsnap_operator.schedules.group import group_of_source
from mmsnap_operator.schedules.restores import restore_under_way
from mmsnap_operator.schedules.runs import key_of
from mmsnap_operator.schedules.timing import Interval
from mmsnap_operator.service import Agents
from mmsnap_operator.workloads.source import find_source
from mmsnap_sdk.service_records import Schedule

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]


async def keep_by_agents(
    api: Api, agents: Agents, schedule: Manifest, timing: Interval
) -> tuple[Condition, dict[str, Any]]:
    """Have the agents keep it as it says; how it goes. Refused, and errors of the agents."""
    metadata, spec = schedule["metadata"], schedule["spec"]
    key, asked = key_of(metadata), spec["template"]["spec"]
    group = await group_of_source(api, metadata["namespace"], asked["source"])
    restores = await api.list(kinds.RESTORE_REQUEST)
    restore = restore_under_way(restores, metadata["namespace"], metadata["name"], group)
    suspended = bool(spec.get("suspend")) or bool(restore)
    wanted = wanted_of(spec, key, timing, suspended=suspended)
    if not suspended:
        source = await find_source(api, metadata["namespace"], asked["source"])
        require_possible({"consistency": "Crash", **asked}, source.members)
    known = await agents.ask(lambda client: client.schedules(group))
    require_ours(known, key, group)
    found = known[0] if known and wanted.is_kept(known[0]) else await _set(agents, group, wanted)
    everything = await agents.ask(lambda client: client.checkpoints(group))
    taken = [one for one in everything if one.labels.get(SCHEDULE_LABEL) == key]
    newest = max(taken, key=lambda one: one.epoch, default=None)
    why = f"RestoreRequest {restore} is under way" if restore else "none is taken"
    return condition_of(found, asked, newest, why), fields_of(found, len(taken))


async def drop_from_agents(agents: Agents, key: str) -> None:
    """The agents keep it no more, whichever group it was of; its checkpoints stay."""
    for each in await agents.ask(lambda client: client.schedules()):
        if each.labels.get(SCHEDULE_LABEL) == key:
            group = each.group
            try:
                await agents.ask(lambda client, group=group: client.remove_schedule(group))  # type: ignore[misc]
            except NotFoundError:
                continue
            log.info("the agents do not keep %s any more", key)


async def _set(agents: Agents, group: str, wanted: Wanted) -> Schedule:
    words = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    made: Schedule = await agents.ask(lambda client: client.set_schedule(group, **words))
    log.info("the agents keep a schedule of group %s, every %s", group, wanted.every)
    return made
