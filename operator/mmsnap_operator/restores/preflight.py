"""Whether a checkpoint can be restored as it is asked for, by what the API server knows.

The strategies check the same once more when they begin, and then ask the agents, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.checkpoints.keeping import CORRUPT
from mmsnap_operator.checkpoints.preflight import agents_of, budgets_of
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.requests.ending import condition
from mmsnap_operator.restores.checks import (
    require_images,
    require_same_images,
    require_same_place,
    require_whole,
    set_name,
)
from mmsnap_operator.restores.origin import Origin
from mmsnap_operator.restores.sets import live_set
from mmsnap_operator.webhook.registration import LABEL
from mmsnap_operator.workloads.agents import check_agents
from mmsnap_operator.workloads.disruption import check_disruption, check_replacement
from mmsnap_operator.workloads.finding import Finding, Weight, require_none
from mmsnap_operator.workloads.pods import is_present, members_of, pod_group
from mmsnap_operator.workloads.probes import pause_of
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.template import require_recreatable, template_of

Manifest = Mapping[str, Any]

IN_PLACE: Final = "InPlace"
CLONE: Final = "Clone"


async def examine(
    api: Api, namespace: str, spec: Manifest, origin: Origin, operator_namespace: str
) -> Sequence[Finding]:
    """What stands against the `spec` of a RestoreRequest in this namespace; Refused, ApiError."""
    require_ready(origin)
    doubts = _doubts(origin)
    require_same_place({"spec": spec, "metadata": {"namespace": namespace}}, origin)
    if spec["strategy"] == CLONE:
        await require_clonable(api, namespace, spec, origin)
        return doubts
    pods = [pod for pod in await api.list(kinds.POD, namespace) if is_present(pod)]
    mine = [pod for pod in pods if pod_group(pod) == origin.group]
    if spec["strategy"] == IN_PLACE:
        members = [member for pod in mine for member in members_of(pod)]
        require_whole(origin, members)
        require_images(origin, members)
        agents = await agents_of(api, operator_namespace)
        lacking = check_agents(mine, agents)
    else:
        await live_recreatable(api, namespace, spec, origin)
        lacking = []
    budgets = await budgets_of(api, namespace, spec)
    return [*doubts, *lacking, *_check_budgets(spec["strategy"], mine, budgets)]


async def require_budgets(api: Api, namespace: str, spec: Manifest, origin: Origin) -> None:
    """The part of it that no strategy looks at; Refused, ApiError."""
    budgets = await budgets_of(api, namespace, spec)
    if spec["strategy"] != CLONE and budgets:
        pods = await api.list(kinds.POD, namespace)
        mine = [pod for pod in pods if is_present(pod) and pod_group(pod) == origin.group]
        require_none(_check_budgets(spec["strategy"], mine, budgets))


def require_ready(origin: Origin) -> None:
    """Refused, unless all of it can be restored. One without an object is the catalog's to know.

    One that was found damaged is read again before it is restored: its bytes may be mended.
    """
    if not origin.checkpoint:
        return
    ready = condition(origin.checkpoint, "Ready")
    if ready.get("reason") == CORRUPT:
        return
    if ready.get("status") != "True":
        why = ready.get("message") or "nothing is told about it yet"
        raise Refused(
            "CheckpointNotReady",
            f"Checkpoint {origin.name} is not Ready: {why}. Restore another one, or wait for it "
            f"(kubectl wait --for=condition=Ready checkpoint/{origin.name} -n {origin.namespace})",
            lasting=False,
        )


def _doubts(origin: Origin) -> list[Finding]:
    if condition(origin.checkpoint, "Ready").get("reason") != CORRUPT:
        return []
    words = f"Checkpoint {origin.name} was found damaged: it is read again before it is restored"
    return [Finding(CORRUPT, words, Weight.WARNING)]


def _check_budgets(
    strategy: str, pods: Sequence[Manifest], budgets: Sequence[Manifest]
) -> list[Finding]:
    if strategy == IN_PLACE:
        return check_disruption(pods, budgets, pause_of(None))
    return check_replacement(pods, budgets)


async def live_recreatable(
    api: Api, namespace: str, spec: Manifest, origin: Origin
) -> Manifest | None:
    """The set that can be made anew, as it is now; None: it is gone. Refused, ApiError."""
    _require_set(spec)
    await _require_enabled(api, namespace)
    live = await live_set(api, namespace, set_name(spec, origin))
    require_recreatable(origin.template if live is None else template_of(live))
    if live is not None:
        require_same_images(origin, live)
    return live


async def require_clonable(api: Api, namespace: str, spec: Manifest, origin: Origin) -> None:
    """Refused, unless a second set can be made of it; ApiError."""
    _require_set(spec)
    await _require_enabled(api, namespace)
    name = spec["target"]["name"]
    if await api.get(kinds.STATEFUL_SET, name, namespace) is not None:
        raise Refused(
            "TargetExists",
            f"there is a StatefulSet {name} in namespace {namespace} already, and a clone is a new "
            "one: give it another name, or restore with strategy InPlace or Recreate",
        )
    require_recreatable(origin.template)


def _require_set(spec: Manifest) -> None:
    kind = (spec.get("target") or {}).get("kind", "StatefulSet")
    if kind != "StatefulSet":
        raise Refused(
            "WorkloadUnsupported",
            f"new pods of a {kind} have new names, and members are known by theirs: only a "
            "StatefulSet is recreated or cloned. Restore with strategy InPlace",
        )


async def _require_enabled(api: Api, namespace: str) -> None:
    """New pods are captured where the webhook is asked only."""
    found = await api.get(kinds.NAMESPACE, namespace) or {"metadata": {}}
    ((label, value),) = LABEL.items()
    if (found["metadata"].get("labels") or {}).get(label) != value:
        raise Refused(
            "NamespaceNotEnabled",
            f"namespace {namespace} has no label {label}={value}, so new pods there would not be "
            f"captured: kubectl label namespace {namespace} {label}={value}",
            lasting=False,
        )
