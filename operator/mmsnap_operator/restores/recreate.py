"""Into new pods: the set goes to nothing, the group is restored, the set comes up again.

In this order unmodified programs are not started a last time for nothing: a restore waits for them,
and their new containers find that out before they start anything.
"""

from __future__ import annotations

from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import require_same_images
from mmsnap_operator.restores.moving import absent, ask, look
from mmsnap_operator.restores.sets import live_set, make, pods_of, scale, unready
from mmsnap_operator.restores.strategy import Plan, Step
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import recreated, require_recreatable, template_of


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
        live = await live_set(site.api, plan.namespace, _name(plan))
        if live is None:
            require_recreatable(plan.origin.template)
            return
        require_recreatable(template_of(live))
        require_same_images(plan.origin, live)
        if _replicas(plan, live) != len(_pods_wanted(plan)) and plan.origin.members:
            raise Refused(
                "ReplicasChanged",
                f"the checkpoint is of {len(_pods_wanted(plan))} pods, and StatefulSet "
                f"{_name(plan)} has {_replicas(plan, live)}: scale it first",
            )

    async def give_up(self, site: Site, plan: Plan, step: str) -> None:
        """The set gets its pods back, restored or not."""
        live = await live_set(site.api, plan.namespace, _name(plan))
        if live is not None and live["spec"].get("replicas") == 0:
            await scale(site.api, plan.namespace, _name(plan), _replicas(plan, live))


async def _stop(site: Site, plan: Plan) -> None:
    live = await live_set(site.api, plan.namespace, _name(plan))
    if live is not None and live["spec"].get("replicas", 1) != 0:
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
    await ask(site, plan.move)
    if not await _is_moved(site, plan):
        raise Refused("Restoring", "the agents have not taken it up yet", lasting=False)


async def _start(site: Site, plan: Plan) -> None:
    live = await live_set(site.api, plan.namespace, _name(plan))
    if live is None:
        template = require_recreatable(plan.origin.template)
        await make(site.api, recreated(template, plan.namespace), plan.uid)
    elif live["spec"].get("replicas", 1) == 0:
        await scale(site.api, plan.namespace, _name(plan), _replicas(plan, live))


async def _await(site: Site, plan: Plan) -> None:
    missing = await absent(site, plan.group, plan.members)
    if not plan.move.is_done(await look(site, plan.group, plan.origin.epoch)):
        raise Refused(
            "AwaitingMembers",
            f"waiting for {', '.join(missing) or 'the restore'}: the others wait with it",
            lasting=False,
            awaited=missing,
        )
    pods = await pods_of(site.api, plan.namespace, _name(plan))
    names = sorted({*missing, *unready(pods, len(_pods_wanted(plan)))})
    if names:
        raise Refused(
            "PodsNotReady",
            f"restored, but not ready since: {', '.join(names)}",
            lasting=False,
            awaited=names,
        )


async def _is_moved(site: Site, plan: Plan) -> bool:
    """Whether the agents have the restore; with programs it waits for these to be started."""
    shown = await look(site, plan.group, plan.origin.epoch)
    return shown.pending if plan.taken.programs else plan.move.is_done(shown)


def _name(plan: Plan) -> str:
    target = plan.request["spec"].get("target")
    if target is not None:
        return str(target["name"])
    template = plan.origin.template
    if template is None:
        raise Refused("TemplateMissing", "nothing says which workload it was: name a target")
    return str(template["name"])


def _replicas(plan: Plan, live: dict[str, object]) -> int:
    """As many pods as the checkpoint has; the set's own number is 0 once it was stopped."""
    wanted = len(_pods_wanted(plan))
    now = live["spec"].get("replicas", 1)  # type: ignore[attr-defined]
    return int(now) or wanted


def _pods_wanted(plan: Plan) -> set[str]:
    rows = {row["member"]: row for row in plan.origin.members}
    return {rows.get(name, {}).get("pod", name) for name in plan.members}
