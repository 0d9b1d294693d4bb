"""Whether a checkpoint can be restored as it is asked for: all checks, of what is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.pods.naming import group_of
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.webhook.registration import LABEL
from mmsnap_operator.workloads.agents import check_agents
from mmsnap_operator.workloads.checkpoint_preflight import agents_of
from mmsnap_operator.workloads.disruption import IGNORE, check_disruption, check_replacement
from mmsnap_operator.workloads.finding import Finding, named
from mmsnap_operator.workloads.images import check_running_images, check_template_images
from mmsnap_operator.workloads.ordering import check_ordering
from mmsnap_operator.workloads.probes import pause_of
from mmsnap_operator.workloads.refusals import Refused
from mmsnap_operator.workloads.source import KINDS, Source, find_source, require_members

Manifest = Mapping[str, Any]

IN_PLACE: Final = "InPlace"
RECREATE: Final = "Recreate"
CLONE: Final = "Clone"
_SET: Final = "StatefulSet"


@dataclass(frozen=True, slots=True)
class Target:
    """The workload that is restored, or made."""

    kind: str
    name: str
    namespace: str

    @property
    def words(self) -> str:
        return f"{self.kind} {self.name} in namespace {self.namespace}"


def target_of(namespace: str, spec: Manifest, checkpoint: Manifest) -> Target:
    """As the RestoreRequest says, else the workload that was checkpointed; Refused."""
    kept, given = checkpoint["spec"].get("template") or {}, spec.get("target") or {}
    kind, name = given.get("kind") or kept.get("kind"), given.get("name") or kept.get("name")
    if kind in KINDS and name:
        return Target(kind, name, namespace)
    raise Refused(
        "NoTarget",
        f"Checkpoint {_name(checkpoint)} does not say which workload it is of: name it as target",
    )


async def examine(
    api: Api, namespace: str, spec: Manifest, checkpoint: Manifest, operator_namespace: str
) -> Sequence[Finding]:
    """What stands against the `spec` of a RestoreRequest in this namespace; ApiError."""
    try:
        target = target_of(namespace, spec, checkpoint)
        strategy = spec["strategy"]
        if strategy != IN_PLACE:
            _require_named_pods(target)
            await _require_enabled(api, target)
        if strategy == CLONE:
            await _require_absent(api, target)
            return check_ordering(_required_template(checkpoint))
        _require_same_group(target, checkpoint)
        budgets: Sequence[Manifest] = ()
        if spec.get("disruptionBudgets") != IGNORE:
            budgets = await api.list(kinds.DISRUPTION_BUDGET, namespace)
        if strategy == RECREATE:
            return await _of_recreation(api, target, checkpoint, budgets)
        source = await find_source(api, namespace, {"kind": target.kind, "name": target.name})
        require_members(source)
        return _in_place(source, checkpoint, await agents_of(api, operator_namespace), budgets)
    except Refused as refused:
        return [Finding.of(refused)]


def _in_place(
    source: Source, checkpoint: Manifest, agents: Sequence[Manifest], budgets: Sequence[Manifest]
) -> Sequence[Finding]:
    _require_same_pods(source, checkpoint)
    return [
        *check_running_images(source.members, _members(checkpoint)),
        *check_agents(source.pods, agents),
        *check_disruption(source.pods, budgets, pause_of(None)),
    ]


async def _of_recreation(
    api: Api, target: Target, checkpoint: Manifest, budgets: Sequence[Manifest]
) -> Sequence[Finding]:
    """The set may be gone, or have no pods."""
    if await api.get(KINDS[target.kind], target.name, target.namespace) is None:
        return check_ordering(_required_template(checkpoint))
    asked = {"kind": target.kind, "name": target.name}
    source = await find_source(api, target.namespace, asked)
    template = _template(checkpoint)
    containers = {each["container"] for each in _members(checkpoint) if each.get("container")}
    return [
        *check_ordering(source.workload),
        *(check_template_images(source.workload, template, containers) if template else ()),
        *check_running_images(source.members, _members(checkpoint)),
        *check_replacement(source.pods, budgets),
    ]


def _require_named_pods(target: Target) -> None:
    if target.kind != _SET:
        raise Refused(
            "KindNotRecreated",
            f"new pods of a {target.kind} have new names, and members are known by theirs: only a "
            "StatefulSet is recreated or cloned. Restore with strategy InPlace",
        )


async def _require_enabled(api: Api, target: Target) -> None:
    """New pods are captured where the webhook is asked only."""
    found = await api.get(kinds.NAMESPACE, target.namespace) or {}
    ((label, value),) = LABEL.items()
    if (found.get("metadata", {}).get("labels") or {}).get(label) != value:
        raise Refused(
            "NamespaceNotEnabled",
            f"namespace {target.namespace} has no label {label}={value}, so new pods there would "
            f"not be captured: kubectl label namespace {target.namespace} {label}={value}",
            lasting=False,
        )


async def _require_absent(api: Api, target: Target) -> None:
    if await api.get(KINDS[target.kind], target.name, target.namespace) is not None:
        raise Refused(
            "TargetExists",
            f"there is a {target.words} already, and a clone is a new one: give it another name, "
            "or restore with strategy InPlace or Recreate",
        )


def _require_same_group(target: Target, checkpoint: Manifest) -> None:
    group = checkpoint["spec"]["group"]
    if group != group_of(target.namespace, target.name):
        raise Refused(
            "AnotherWorkload",
            f"Checkpoint {_name(checkpoint)} is of group {group}, and {target.words} is another "
            "one: only strategy Clone makes a workload of another's checkpoint",
        )


def _require_same_pods(source: Source, checkpoint: Manifest) -> None:
    """Those of the checkpoint have to be there; others would be in no state at all."""
    wanted = {each["pod"] for each in _members(checkpoint) if each.get("pod")}
    there = {pod["metadata"]["name"] for pod in source.pods}
    differing = sorted(wanted ^ there)
    if wanted and differing:
        raise Refused(
            "MembersDiffer",
            f"Checkpoint {_name(checkpoint)} has {len(wanted)} pods and {source.owner.kind} "
            f"{source.owner.name} has {len(there)}: {named(differing)} "
            f"{'is' if len(differing) == 1 else 'are'} not in both. Scale it to {len(wanted)}",
            lasting=False,
        )


def _required_template(checkpoint: Manifest) -> Manifest:
    template = _template(checkpoint)
    if template is None:
        raise Refused(
            "NoTemplate",
            f"Checkpoint {_name(checkpoint)} does not have the workload that it is of, so none can "
            "be made: make the StatefulSet by its own manifest, and restore with strategy Recreate",
        )
    return template


def _template(checkpoint: Manifest) -> Manifest | None:
    """The workload as it was, as an object; None: it was not kept."""
    kept = checkpoint["spec"].get("template")
    if not kept or not (kept.get("spec") or {}).get("template"):
        return None
    return {"kind": kept["kind"], "metadata": {"name": kept["name"]}, "spec": kept["spec"]}


def _members(checkpoint: Manifest) -> Sequence[Manifest]:
    return (checkpoint.get("status") or {}).get("members") or ()


def _name(checkpoint: Manifest) -> str:
    return str(checkpoint["metadata"]["name"])
