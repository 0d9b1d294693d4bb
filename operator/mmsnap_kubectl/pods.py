"""`kubectl mmsnap list`: the pods that can be checkpointed, as far as you may see pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from mmsnap.cli.output import Column, Format, Output, print_json, print_table
from mmsnap.errors import MmsnapError
from mmsnap.quantities import format_size
from mmsnap_kubectl.cluster import cluster
from mmsnap_kubectl.kubectl import Kubectl
from mmsnap_kubectl.names import CSI_DRIVER
from mmsnap_kubectl.node_usage import usage_of
from mmsnap_kubectl.references import Everywhere

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A container that mmsnap captures; `used_bytes` None: not known, or not to you."""

    namespace: str
    pod: str
    container: str
    node: str
    state: str
    group: str
    member: str
    used_bytes: int | None


def list_(everywhere: Everywhere = False, output: Output = Format.TABLE) -> None:
    """List the pods that can be checkpointed, where they run and what they use of the pool.

    What they use is shown to those who may read the MemoryMachine.

    \b
    Examples:
        kubectl mmsnap list -n demo
        kubectl mmsnap list -A
    """
    found = _members(cluster(), everywhere)
    if output is Format.JSON:
        print_json([asdict(member) for member in found])
    else:
        print_table([*((_NAMESPACE,) if everywhere else ()), *_COLUMNS], found)


def _members(kubectl: Kubectl, everywhere: bool) -> list[Member]:
    pods = [pod for pod in kubectl.list("pods", everywhere=everywhere) if _is_ours(pod)]
    try:
        usage = usage_of(kubectl.within("")) if pods else None
    except MmsnapError:  # not for everybody, and not needed
        usage = None
    return [
        Member(
            pod["metadata"]["namespace"],
            pod["metadata"]["name"],
            container,
            pod["spec"].get("nodeName", "-"),
            _state(pod),
            group,
            member,
            usage.used_bytes((group, member)) if usage else None,
        )
        for pod in pods
        for container, group, member in _captured(pod)
    ]


def _is_ours(pod: Manifest) -> bool:
    volumes = pod["spec"].get("volumes") or ()
    return any((volume.get("csi") or {}).get("driver") == CSI_DRIVER for volume in volumes)


def _captured(pod: Manifest) -> Iterator[tuple[str, str, str]]:
    """Container, group and member, as the webhook wrote them into its variables."""
    own_name = pod["metadata"]["name"]
    for container in pod["spec"]["containers"]:
        env = {one["name"]: one.get("value", "") for one in container.get("env") or ()}
        if "MMSNAP_MEMBER" in env:
            group, member = (
                env.get(name, "").replace("$(MM_POD_NAME)", own_name)
                for name in ("MMSNAP_GROUP", "MMSNAP_MEMBER")
            )
            yield container["name"], group, member


def _state(pod: Manifest) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    conditions = pod["status"].get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return "Ready" if ready else str(pod["status"]["phase"])


_NAMESPACE: Final = Column[Member]("NAMESPACE", lambda one: one.namespace)
_COLUMNS: Final = (
    Column[Member]("POD", lambda one: one.pod),
    Column[Member]("CONTAINER", lambda one: one.container),
    Column[Member]("NODE", lambda one: one.node),
    Column[Member]("STATE", lambda one: one.state),
    Column[Member]("GROUP", lambda one: one.group),
    Column[Member](
        "USED",
        lambda one: "-" if one.used_bytes is None else format_size(one.used_bytes),
        numeric=True,
    ),
)
