"""Whether etcd can keep the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.configuration import Configuration, Etcd
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.health.observed import Observed
from mmsnap_operator.health.pods import is_ready, trouble

TYPE: Final = "EtcdReady"
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def etcd_condition(configuration: Configuration, seen: Observed) -> Condition:
    """Whether a majority of its members serves, and why not."""
    wanted = configuration.etcd
    if wanted is None:
        endpoints = ", ".join(configuration.etcd_endpoints)
        return Condition(TYPE, True, "Existing", f"an existing etcd is used: {endpoints}")
    ready = sum(map(is_ready, seen.etcd_pods))
    told = f"{ready} of {wanted.replicas} members are ready"
    if ready > wanted.replicas // 2:
        return Condition(TYPE, True, "Ready", told + _other_class(wanted, seen))
    no_volume = _without_volumes(wanted, seen)
    if no_volume is not None:
        return no_volume
    if len(seen.claims) > wanted.replicas:
        return _too_few(told, len(seen.claims))
    for pod in seen.etcd_pods:
        found = None if is_ready(pod) else trouble(pod)
        if found is not None and found.reason != "NotScheduled":
            return Condition(TYPE, False, found.reason, f"{told}; {found.where}: {found.words}")
    for pod in seen.etcd_pods:
        found = trouble(pod)
        if found is not None:
            return Condition(TYPE, False, found.reason, f"{told}; {found.where}: {found.words}")
    return Condition(TYPE, False, "Starting", told)


def _other_class(wanted: Etcd, seen: Observed) -> str:
    """Volumes with data are not made anew by themselves."""
    claims = ((seen.stateful_set or {}).get("spec") or {}).get("volumeClaimTemplates") or [{}]
    has = claims[0].get("spec", {}).get("storageClassName", "")
    if has == wanted.storage_class:
        return ""
    return (
        f"; its volumes keep the storage class {has or 'that was the default'}: to change it, "
        "delete the MemoryMachine and make it anew"
    )


def _too_few(told: str, had: int) -> Condition:
    """The catalog is that of a MemoryMachine before, which had more members."""
    return Condition(
        TYPE,
        False,
        "TooFewMembers",
        f"{told}; there is the catalog of {had} members, which a majority of them has to keep: "
        f"delete the MemoryMachine and make it anew with etcdConfig.replicas: {had}",
    )


def _without_volumes(wanted: Etcd, seen: Observed) -> Condition | None:
    """What keeps its volumes from being made, while some are not bound."""
    bound = [claim for claim in seen.claims if _phase(claim) == "Bound"]
    if len(bound) >= wanted.replicas:
        return None
    names = [one["metadata"]["name"] for one in seen.storage_classes]
    if wanted.storage_class and wanted.storage_class not in names:
        have = ", ".join(sorted(names)) or "none"
        return Condition(
            TYPE,
            False,
            "StorageClassMissing",
            f"there is no storage class {wanted.storage_class} (there are: {have}): make it, or "
            "name another one in etcdConfig.storageClass",
        )
    if not wanted.storage_class and not any(map(_is_default, seen.storage_classes)):
        return Condition(
            TYPE,
            False,
            "NoDefaultStorageClass",
            "the cluster has no default storage class: name one in etcdConfig.storageClass"
            + (f", of {', '.join(sorted(names))}" if names else "; there is none yet"),
        )
    return None


def _phase(claim: Mapping[str, Any]) -> str:
    return str(claim.get("status", {}).get("phase", ""))


def _is_default(storage_class: Mapping[str, Any]) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return annotations.get(_DEFAULT_CLASS) == "true"
