"""A second workload under another name, or in another namespace, beside the first one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap.errors import NotFoundError
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import renamed
from mmsnap_operator.restores.moving import absent
from mmsnap_operator.restores.preflight import require_clonable
from mmsnap_operator.restores.sets import is_made_for, live_set, make, pods_of, unready
from mmsnap_operator.restores.strategy import Plan, Step
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import cloned, require_recreatable
from mmsnap_sdk.service_records import GroupCheckpoint


class Clone:
    """See `Strategy`."""

    def __init__(self) -> None:
        self.steps = (
            Step("Cloning", "the bytes are copied", _clone),
            Step("Starting", "the second workload is made", _start),
            Step("AwaitingPods", "waiting until its pods are restored and ready", _await),
        )

    async def check(self, site: Site, plan: Plan) -> None:
        await require_clonable(site.api, plan.namespace, plan.request["spec"], plan.origin)
        _names(plan)
        made = await _made(site, plan)
        if made is not None and not await _is_unused(site, plan, made):
            raise _taken(plan)

    async def notes(self, site: Site, plan: Plan) -> Mapping[str, Any]:
        return {}

    async def give_up(self, site: Site, request: Mapping[str, Any]) -> None:
        """A set that was made stays, for people to look at: its deletion is theirs."""


async def _clone(site: Site, plan: Plan) -> None:
    made = await _made(site, plan)
    if made is not None:
        if not _is_copy(plan, made):
            raise _taken(plan)
        return
    names = _names(plan)
    try:
        await site.agents.once(
            lambda client: client.clone(
                plan.origin.group, f"@{plan.origin.epoch}", plan.group, members=names
            )
        )
    except FileExistsError as error:
        # Whoever was asked before may be at it still: then there is no group yet to look at.
        raise Refused("Cloning", f"the bytes are being copied: {error}", lasting=False) from error


async def _start(site: Site, plan: Plan) -> None:
    live = await live_set(site.api, plan.namespace, _name(plan))
    if live is None:
        template = require_recreatable(plan.origin.template)
        await make(site.api, cloned(template, plan.namespace, _name(plan)), plan.uid)
    elif not is_made_for(live, plan.uid):
        raise Refused("TargetExists", f"somebody else made a StatefulSet {_name(plan)} meanwhile")


async def _await(site: Site, plan: Plan) -> None:
    names = tuple(_names(plan).values())
    missing = await absent(site, plan.group, names)
    made = await _made(site, plan)
    if missing or made is None or made.pending:
        raise Refused(
            "AwaitingMembers",
            f"waiting for {', '.join(missing) or 'the restore'}: the others wait with it",
            lasting=False,
            awaited=missing,
        )
    wanted = int(require_recreatable(plan.origin.template)["spec"].get("replicas", 1))
    left = unready(await pods_of(site.api, plan.namespace, _name(plan)), wanted)
    if left:
        raise Refused(
            "PodsNotReady",
            f"restored, but not ready since: {', '.join(left)}",
            lasting=False,
            awaited=left,
        )


async def _made(site: Site, plan: Plan) -> GroupCheckpoint | None:
    """The head of the new group; None: there is no such group."""
    try:
        return await site.agents.ask(lambda client: client.find(plan.group))
    except NotFoundError:
        return None


async def _is_unused(site: Site, plan: Plan, made: GroupCheckpoint) -> bool:
    """Whether it is what a request before this one had copied, and did not come to start."""
    if not _is_copy(plan, made):
        return False
    return not await site.agents.ask(lambda client: client.members(plan.group))


def _is_copy(plan: Plan, made: GroupCheckpoint) -> bool:
    """Whether it is the checkpoint, under the names that the clone's members are to have."""
    members = {part.member for part in made.members}
    same = (made.name, made.created) == (plan.taken.name, plan.taken.created)
    return same and members == set(_names(plan).values())


def _taken(plan: Plan) -> Refused:
    return Refused(
        "GroupExists",
        f"the agents have a group {plan.group} already, which is in use, or no copy of this "
        "checkpoint",
    )


def _names(plan: Plan) -> dict[str, str]:
    template: Any = require_recreatable(plan.origin.template)
    return renamed(plan.origin, plan.taken, template["name"], _name(plan))


def _name(plan: Plan) -> str:
    return str(plan.request["spec"]["target"]["name"])
