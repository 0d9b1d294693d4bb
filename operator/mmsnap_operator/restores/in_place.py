"""In place: the pods stay as they are, and their members go back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap_operator.cluster import kinds
from mmsnap_operator.health.pods import is_ready
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.checks import require_images, require_whole
from mmsnap_operator.restores.moving import absent, ask, require_possible
from mmsnap_operator.restores.strategy import Plan, Step
from mmsnap_operator.workloads.pods import is_present, members_of, pod_group
from mmsnap_operator.workloads.refusals import Refused


class InPlace:
    """See `Strategy`."""

    def __init__(self) -> None:
        self.steps = (
            Step("Restoring", "the members go back", _restore),
            Step("AwaitingPods", "waiting until the pods are ready", _await_pods),
        )

    async def check(self, site: Site, plan: Plan) -> None:
        pods = await _pods(site, plan)
        members = [member for pod in pods for member in members_of(pod)]
        require_whole(plan.origin, members)
        require_images(plan.origin, members)
        await require_possible(site, plan.move)

    async def notes(self, site: Site, plan: Plan) -> Mapping[str, Any]:
        return {}

    async def give_up(self, site: Site, request: Mapping[str, Any]) -> None:
        """The pods are there, and the agents have it all or nothing of it."""


async def _restore(site: Site, plan: Plan) -> None:
    if await ask(site, plan.move):
        return
    missing = await absent(site, plan.group, plan.members)
    raise Refused(
        "AwaitingMembers",
        f"waiting for {', '.join(missing) or 'the agents'}: the others wait with it",
        lasting=False,
        awaited=missing,
    )


async def _await_pods(site: Site, plan: Plan) -> None:
    missing = await absent(site, plan.group, plan.members)
    unready = [p["metadata"]["name"] for p in await _pods(site, plan) if not is_ready(p)]
    if missing or unready:
        names = sorted({*missing, *unready})
        raise Refused(
            "PodsNotReady",
            f"restored, but not ready since: {', '.join(names)}",
            lasting=False,
            awaited=names,
        )


async def _pods(site: Site, plan: Plan) -> list[Mapping[str, Any]]:
    everything = await site.api.list(kinds.POD, plan.namespace)
    return [pod for pod in everything if is_present(pod) and pod_group(pod) == plan.group]
