"""Into new pods: the set goes to nothing, the group is restored, the set comes up again.

In this order unmodified programs are not started a last time for nothing: a restore waits for them,
and their new containers find that out before they start anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import set_name
from mmsnap_operator.restores.moving import absent, ask_anew, is_done, look
from mmsnap_operator.restores.preflight import live_recreatable
from mmsnap_operator.restores.sets import (
    live_set,
    make,
    pods_of,
    pods_of_members,
    scale,
    set_of_group,
    unready,
)
from mmsnap_operator.restores.strategy import Plan, Step
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import recreated, require_recreatable

Manifest = Mapping[str, Any]


class Recreate:
    """See `Strategy`."""

    def __init__(self) -> None:
        self.steps = (
            Step("Stopping", "the pods are taken away", _stop),
            Step("Restoring", "the group goes back", _restore),
            Step("Starting", "new pods are made", _start),
            Step("AwaitingPods", "waiting until the new pods are restored and ready", _await),
        )

    async def check(self, site: Site, plan: Plan) -> None:
        spec = plan.request["spec"]
        live = await live_recreatable(site.api, plan.namespace, spec, plan.origin)
        if live is None:
            return
        had, wanted = _replicas(live), _pods_wanted(plan, live)
        if had not in (0, wanted):
            raise Refused(
                "ReplicasChanged",
                f"the checkpoint is of {wanted} pods, and StatefulSet {_name(plan)} has {had}: "
                "scale it first",
            )

    async def notes(self, site: Site, plan: Plan) -> Manifest:
        """How many pods it has: once it is stopped, its own number is 0."""
        live = await live_set(site.api, plan.namespace, _name(plan))
        return {"replicas": None if live is None else _replicas(live)}

    async def give_up(self, site: Site, request: Manifest) -> None:
        """The set gets its pods back, restored or not."""
        namespace, status = request["metadata"]["namespace"], request["status"]
        had = status.get("replicas")
        live = await set_of_group(site.api, namespace, status["group"])
        if had and live is not None and _replicas(live) == 0:
            await scale(site.api, namespace, live["metadata"]["name"], had)


async def _stop(site: Site, plan: Plan) -> None:
    live = await live_set(site.api, plan.namespace, _name(plan))
    if live is not None and _replicas(live) != 0:
        await scale(site.api, plan.namespace, _name(plan), 0)
    names = [
        pod["metadata"]["name"] for pod in await pods_of(site.api, plan.namespace, _name(plan))
    ]
    attached = set(plan.members) - set(await absent(site, plan.group, plan.members))
    if names or attached:
        left = sorted({*names, *attached})
        raise Refused("Stopping", f"not gone yet: {', '.join(left)}", lasting=False, awaited=left)


async def _restore(site: Site, plan: Plan) -> None:
    if await _is_moved(site, plan):
        return
    # Where programs are to be started it has to wait for them, wherever the group is now.
    await ask_anew(site, plan.move)
    if not await _is_moved(site, plan):
        raise Refused("Restoring", "the agents have not taken it up yet", lasting=False)


async def _start(site: Site, plan: Plan) -> None:
    live = await live_set(site.api, plan.namespace, _name(plan))
    if live is None:
        template = require_recreatable(plan.origin.template)
        await make(site.api, recreated(template, plan.namespace), plan.uid)
    elif _replicas(live) == 0:
        # A set that somebody had at nothing gets as many as the checkpoint is of.
        had = plan.request["status"].get("replicas") or _pods_wanted(plan, live)
        await scale(site.api, plan.namespace, _name(plan), had)


async def _await(site: Site, plan: Plan) -> None:
    missing = await absent(site, plan.group, plan.members)
    # Whether the checkpoint is the head says nothing: programs may take others at once.
    if not plan.move.has_ended(await look(site, plan.group, plan.origin.epoch)):
        raise Refused(
            "AwaitingMembers",
            f"waiting for {', '.join(missing) or 'the restore'}: the others wait with it",
            lasting=False,
            awaited=missing,
        )
    live = await live_set(site.api, plan.namespace, _name(plan))
    pods = await pods_of(site.api, plan.namespace, _name(plan))
    names = sorted({*missing, *unready(pods, 0 if live is None else _replicas(live))})
    if names:
        raise Refused(
            "PodsNotReady",
            f"restored, but not ready since: {', '.join(names)}",
            lasting=False,
            awaited=names,
        )


async def _is_moved(site: Site, plan: Plan) -> bool:
    """Whether the agents have the restore; with programs it waits for these to be started."""
    if plan.taken.programs:
        return (await look(site, plan.group, plan.origin.epoch)).pending
    return await is_done(site, plan.move)


def _name(plan: Plan) -> str:
    return set_name(plan.request["spec"], plan.origin)


def _replicas(live: Manifest) -> int:
    return int(live["spec"].get("replicas", 1))


def _pods_wanted(plan: Plan, live: Manifest) -> int:
    """As many pods as the checkpoint is of."""
    pods = pods_of_members(plan.members, plan.origin.members, live)
    if not pods:
        raise Refused(
            "MembersUnknown",
            f"no pod of StatefulSet {_name(plan)} would have the members "
            f"{', '.join(plan.members)}: its containers are called otherwise now",
        )
    return len(pods)
