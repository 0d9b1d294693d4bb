"""Whether a checkpoint can be restored as it is asked for: all checks, of what is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.pods.naming import group_of
from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.webhook.registration import LABEL
from mmsnap_operator.workloads import sources
from mmsnap_operator.workloads.agents import check_agents
from mmsnap_operator.workloads.capture import check_captured, check_running, group_of_pod
from mmsnap_operator.workloads.checkpoint_preflight import agents_of
from mmsnap_operator.workloads.disruption import IGNORE, check_disruption, check_replacement
from mmsnap_operator.workloads.finding import Finding, Weight, named
from mmsnap_operator.workloads.images import check_running_images, check_template_images
from mmsnap_operator.workloads.ordering import check_ordering
from mmsnap_operator.workloads.probes import pause_of

Manifest = Mapping[str, Any]

IN_PLACE: Final = "InPlace"
RECREATE: Final = "Recreate"
CLONE: Final = "Clone"
_SET: Final = "StatefulSet"


@dataclass(frozen=True, slots=True)
class Target:
    """The workload that is restored, or made; its kind and name by default the checkpoint's."""

    kind: str
    name: str
    namespace: str

    @property
    def words(self) -> str:
        return f"{self.kind} {self.name} in namespace {self.namespace}"


def target_of(namespace: str, spec: Manifest, checkpoint: Manifest) -> Target | None:
    """None: neither says it."""
    template = checkpoint["spec"].get("template") or {}
    given = spec.get("target") or {}
    kind, name = (
        given.get("kind") or template.get("kind"),
        given.get("name") or template.get("name"),
    )
    return Target(kind, name, namespace) if kind and name else None


async def examine(
    api: Api, namespace: str, spec: Manifest, checkpoint: Manifest, operator_namespace: str
) -> Sequence[Finding]:
    """What stands against the `spec` of a RestoreRequest in this namespace; ApiError."""
    target = target_of(namespace, spec, checkpoint)
    if target is None:
        return [
            Finding(
                "NoTarget",
                f"Checkpoint {_name(checkpoint)} does not say which workload it is of: name it "
                "as the target",
            )
        ]
    strategy = spec["strategy"]
    if strategy != IN_PLACE:
        refused = [*_check_kind(target), *await _check_namespace(api, target)]
        if refused:
            return refused
    if strategy == CLONE:
        return await _examine_clone(api, target, checkpoint)
    elsewhere = _check_group(target, checkpoint)
    if elsewhere:
        return elsewhere
    source = await sources.find(api, namespace, {"kind": target.kind, "name": target.name})
    budgets = await api.list(kinds.DISRUPTION_BUDGET, namespace)
    if spec.get("disruptionBudgets") == IGNORE:
        budgets = ()
    if strategy == RECREATE:
        return _check_recreation(source, checkpoint, budgets)
    agents = await agents_of(api, operator_namespace)
    return _check_in_place(source, checkpoint, agents, budgets)


async def _examine_clone(api: Api, target: Target, checkpoint: Manifest) -> Sequence[Finding]:
    there = await api.get(sources.WORKLOADS[target.kind], target.name, target.namespace)
    if there is not None:
        return [
            Finding(
                "TargetExists",
                f"there is a {target.words} already: a clone is a new workload, so give it "
                "another name, or restore with strategy InPlace or Recreate",
            )
        ]
    template = _template(checkpoint)
    return _no_template(checkpoint) if template is None else check_ordering(template)


def _check_in_place(
    source: sources.Source,
    checkpoint: Manifest,
    agents: Sequence[Manifest],
    budgets: Sequence[Manifest],
) -> Sequence[Finding]:
    if source.findings:
        return source.findings
    pods, members = source.pods, _members(checkpoint)
    strangers = check_captured(pods)
    if strangers:
        return strangers
    return [
        *_check_members(pods, checkpoint),
        *check_running(pods),
        *check_running_images(pods, members),
        *check_agents(pods, agents),
        *check_disruption(pods, budgets, pause_of(None)),
    ]


def _check_recreation(
    source: sources.Source, checkpoint: Manifest, budgets: Sequence[Manifest]
) -> Sequence[Finding]:
    template = _template(checkpoint)
    if source.workload is None:
        return _no_template(checkpoint) if template is None else check_ordering(template)
    containers = {each["container"] for each in _members(checkpoint) if each.get("container")}
    return [
        *check_ordering(source.workload),
        *(check_template_images(source.workload, template, sorted(containers)) if template else ()),
        *check_running_images(source.pods, _members(checkpoint)),
        *check_replacement(source.pods, budgets),
    ]


def _check_kind(target: Target) -> list[Finding]:
    if target.kind == _SET:
        return []
    return [
        Finding(
            "KindNotRecreated",
            f"a {target.kind} gives new pods new names, and members are known by theirs: only a "
            "StatefulSet is recreated or cloned. Restore in place",
        )
    ]


async def _check_namespace(api: Api, target: Target) -> list[Finding]:
    """New pods are captured where the webhook is asked only."""
    found = await api.get(kinds.NAMESPACE, target.namespace) or {}
    ((label, value),) = LABEL.items()
    if (found.get("metadata", {}).get("labels") or {}).get(label) == value:
        return []
    return [
        Finding(
            "NamespaceNotEnabled",
            f"namespace {target.namespace} has no label {label}={value}, so new pods there would "
            f"not be captured: kubectl label namespace {target.namespace} {label}={value}",
            Weight.PASSING,
        )
    ]


def _check_group(target: Target, checkpoint: Manifest) -> list[Finding]:
    group = checkpoint["spec"]["group"]
    if group == group_of(target.namespace, target.name):
        return []
    return [
        Finding(
            "AnotherWorkload",
            f"Checkpoint {_name(checkpoint)} is of group {group}, and {target.words} is another "
            "one: only strategy Clone makes a workload of another's checkpoint",
        )
    ]


def _check_members(pods: Sequence[Manifest], checkpoint: Manifest) -> list[Finding]:
    """Those of the checkpoint have to be there; others would be in no state at all."""
    group = checkpoint["spec"]["group"]
    wanted = {each["pod"] for each in _members(checkpoint) if each.get("pod")}
    there = {pod["metadata"]["name"] for pod in pods if group_of_pod(pod) == group}
    if not wanted or wanted == there:
        return []
    differing = sorted(wanted ^ there)
    return [
        Finding(
            "MembersDiffer",
            f"Checkpoint {_name(checkpoint)} has {len(wanted)} pods and the workload {len(there)}: "
            f"{named(differing)} {'is' if len(differing) == 1 else 'are'} not in both. Scale it to "
            f"{len(wanted)}",
            Weight.PASSING,
        )
    ]


def _template(checkpoint: Manifest) -> Manifest | None:
    """The workload as it was, as an object; None: it was not kept."""
    kept = checkpoint["spec"].get("template")
    if not kept or not (kept.get("spec") or {}).get("template"):
        return None
    return {"kind": kept["kind"], "metadata": {"name": kept["name"]}, "spec": kept["spec"]}


def _no_template(checkpoint: Manifest) -> list[Finding]:
    return [
        Finding(
            "NoTemplate",
            f"Checkpoint {_name(checkpoint)} does not have the workload that it is of, so none can "
            "be made: make the StatefulSet by its own manifest, and restore with strategy Recreate",
        )
    ]


def _members(checkpoint: Manifest) -> Sequence[Manifest]:
    return checkpoint.get("status", {}).get("members") or ()


def _name(checkpoint: Manifest) -> str:
    return str(checkpoint["metadata"]["name"])
