"""A second workload under another name, or in another namespace, beside the first one."""

from __future__ import annotations

from typing import Any, Final

from mmsnap.errors import NotFoundError
from mmsnap_operator.cluster import kinds
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import renamed
from mmsnap_operator.restores.moving import absent
from mmsnap_operator.restores.sets import is_made_for, live_set, make, pods_of, unready
from mmsnap_operator.restores.strategy import Plan, Step
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import cloned, require_recreatable
from mmsnap_sdk.service_records import GroupCheckpoint

_SEEN: Final = ("memverge", "enabled")


class Clone:
    """See `Strategy`."""

    def __init__(self) -> None:
        self.steps = (
            Step("Cloning", "the bytes are copied", _clone),
            Step("Starting", "the second workload is made", _start),
            Step("AwaitingPods", "waiting until its pods are restored and ready", _await),
        )

    async def check(self, site: Site, plan: Plan) -> None:
        template = require_recreatable(plan.origin.template)
        renamed(plan.origin, plan.taken, template["name"], _name(plan))
        if plan.request["spec"]["target"]["kind"] != "StatefulSet":
            raise Refused("WorkloadUnsupported", "only a StatefulSet can be a clone")
        if await site.api.get(kinds.STATEFUL_SET, _name(plan), plan.namespace) is not None:
            raise Refused("TargetExists", f"there is a StatefulSet {_name(plan)} already")
        if await _made(site, plan) is not None:
            raise Refused("GroupExists", f"the agents have a group {plan.group} already")
        namespace = await site.api.get(kinds.NAMESPACE, plan.namespace) or {"metadata": {}}
        if (namespace["metadata"].get("labels") or {}).get(_SEEN[0]) != _SEEN[1]:
            raise Refused(
                "NamespaceNotEnabled",
                f"pods of namespace {plan.namespace} are not put under mmsnap: label it with "
                f"{_SEEN[0]}={_SEEN[1]}",
            )

    async def give_up(self, site: Site, plan: Plan, step: str) -> None:
        """A set that was made stays, for people to look at: its deletion is theirs."""


async def _clone(site: Site, plan: Plan) -> None:
    if await _made(site, plan) is not None:
        return
    names = _names(plan)
    await site.agents.once(
        lambda client: client.clone(
            plan.origin.group, f"@{plan.origin.epoch}", plan.group, members=names
        )
    )


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


def _names(plan: Plan) -> dict[str, str]:
    template: Any = require_recreatable(plan.origin.template)
    return renamed(plan.origin, plan.taken, template["name"], _name(plan))


def _name(plan: Plan) -> str:
    return str(plan.request["spec"]["target"]["name"])
