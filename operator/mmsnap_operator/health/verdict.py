"""All conditions of a MemoryMachine, and the one that sums them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.configuration import Configuration
from mmsnap_operator.health.agents import agents_condition, is_rolling_out, replicas_condition
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.health.etcd import etcd_condition
from mmsnap_operator.health.observed import Observed
from mmsnap_operator.ignored import ignored, unknown

_NEEDED: Final = ("EtcdReady", "AgentsReady", "WebhookReady")


def conditions(
    spec: Mapping[str, Any], configuration: Configuration, seen: Observed
) -> list[Condition]:
    """What holds of a MemoryMachine that is in charge."""
    found = [
        etcd_condition(configuration, seen),
        agents_condition(configuration, seen),
        _webhook(seen),
        _pull_secret(configuration, seen),
        replicas_condition(configuration, seen),
        _progressing(seen),
        _ignored(spec),
        Condition("Conflict", False, "Alone"),
    ]
    return [_ready(found), *found]


def conflict(spec: Mapping[str, Any], other: str) -> list[Condition]:
    """What holds of one that is not: another was there before."""
    told = (
        f"MemoryMachine {other} is in charge of this cluster, and a cluster has one: delete this "
        "one, or the other to let this one take its place"
    )
    return [
        Condition("Ready", False, "Conflict", told),
        _ignored(spec),
        Condition("Conflict", True, "AnotherInCharge", told),
    ]


def elsewhere(spec: Mapping[str, Any], namespace: str) -> list[Condition]:
    """What holds of one in a namespace where the operator may make nothing."""
    told = f"the operator may make nothing here: put it into the namespace {namespace}"
    return [Condition("Ready", False, "WrongNamespace", told), _ignored(spec)]


def _ready(found: Sequence[Condition]) -> Condition:
    for name in _NEEDED:
        condition = next(one for one in found if one.type == name)
        if condition.holds is not True:
            return Condition("Ready", False, condition.reason, f"{name}: {condition.message}")
    return Condition("Ready", True, "Ready", "everything that was asked for runs")


def _webhook(seen: Observed) -> Condition:
    name = "WebhookReady"
    if not seen.webhooks:
        return Condition(
            name, False, "NotInstalled", "the operator has no webhook configured: see its log"
        )
    trusted = [
        hook["clientConfig"].get("caBundle")
        for configuration in seen.webhooks
        for hook in configuration.get("webhooks", [])
    ]
    if not trusted or not all(trusted):
        return Condition(name, False, "NoCertificate", "the webhook has no certificate yet")
    return Condition(name, True, "Ready", "annotated pods are injected")


def _pull_secret(configuration: Configuration, seen: Observed) -> Condition:
    name = "PullSecretFound"
    if seen.pull_secret_found is None:
        return Condition(name, False, "NotAskedFor", "images are pulled without a secret")
    if seen.pull_secret_found:
        return Condition(name, True, "Found", f"images are pulled with {configuration.pull_secret}")
    return Condition(
        name,
        False,
        "PullSecretMissing",
        f"there is no secret {configuration.pull_secret} in this namespace, so images are pulled "
        "without it; if they need it: kubectl create secret docker-registry "
        f"{configuration.pull_secret} …",
    )


def _progressing(seen: Observed) -> Condition:
    name = "Progressing"
    if is_rolling_out(seen):
        status = (seen.daemon_set or {}).get("status", {})
        told = (
            f"{status.get('updatedNumberScheduled', 0)} of "
            f"{status.get('desiredNumberScheduled', 0)} agents have the present configuration"
        )
        return Condition(name, True, "RollingOut", told)
    return Condition(name, False, "UpToDate")


def _ignored(spec: Mapping[str, Any]) -> Condition:
    name = "FieldsIgnored"
    strange = unknown(spec)
    meaningless = ignored(spec)
    parts = []
    if strange:
        parts.append(f"no MemoryMachine has these fields: {', '.join(strange)}")
    if meaningless:
        parts.append(f"these mean nothing here: {'; '.join(meaningless)}")
    if not parts:
        return Condition(name, False, "None")
    return Condition(
        name, True, "UnknownFields" if strange else "MeaninglessFields", ". ".join(parts)
    )
