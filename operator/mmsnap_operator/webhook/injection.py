"""What becomes of a pod that is to be captured: a pure function from a pod to a pod.

To inject it once more changes nothing: the API server may ask again when another webhook came in
between, and people apply manifests that they got from a running pod. Init containers, sidecars and
ephemeral containers are left as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.webhook import wishes as asked
from mmsnap_operator.webhook.eligibility import require_eligible, require_own_network
from mmsnap_operator.webhook.identity import Identity, identity_of
from mmsnap_operator.webhook.installer import is_wrapped, with_installer, wrapped
from mmsnap_operator.webhook.refusals import Refusal
from mmsnap_operator.webhook.settings import Settings
from mmsnap_operator.webhook.variables import value_of, with_variables
from mmsnap_operator.webhook.volumes import AGENT_FOLDER, captured_before, with_mounts, with_volumes
from mmsnap_operator.webhook.wishes import Wishes, wishes_of

Manifest = dict[str, Any]

_ADDRESS: Final = f"unix://{AGENT_FOLDER}/agent.sock"
_ENGINE: Final = "MMSNAP_ENGINE"


@dataclass(frozen=True, slots=True)
class Injected:
    """The pod as it is to be; warnings are for whoever made it."""

    pod: Manifest
    warnings: Sequence[str]


def inject(given: Mapping[str, Any], namespace: str, settings: Settings) -> Injected:
    """The pod, captured; Refusal when it can not be. `given` is not changed."""
    pod: Manifest = copy.deepcopy(dict(given))
    require_eligible(pod)
    wishes = wishes_of(pod)
    chosen = _chosen(pod, wishes)
    captured = [container for container in pod["spec"]["containers"] if container["name"] in chosen]
    identity = identity_of(pod, namespace, chosen)
    engines = {container["name"]: _engine(container, wishes) for container in captured}
    if asked.PROCESS in engines.values():
        require_own_network(pod)
    elif wishes.profile is not None:
        raise Refusal(
            f"annotation {asked.PROFILE} is for the engine process: programs of the engine "
            "memory have hooks"
        )
    warnings = _start_by_init(pod, captured, wishes)
    for container in captured:
        variables = _variables(container["name"], identity, engines[container["name"]], wishes)
        container["env"] = with_variables(container, identity.name, variables)
        container["volumeMounts"] = with_mounts(container)
    spec = pod["spec"]
    spec["initContainers"] = with_installer(given, settings.image, captured[0])
    spec["volumes"] = with_volumes(pod, identity.workload, chosen)
    spec["nodeSelector"] = _with_nodes(spec.get("nodeSelector") or {}, settings.node_selector)
    if not spec["nodeSelector"]:
        del spec["nodeSelector"]
    return Injected(pod, warnings)


def _chosen(pod: Manifest, wishes: Wishes) -> tuple[str, ...]:
    """The containers to capture: once injected, the same again, whatever came to the pod since."""
    names = tuple(container["name"] for container in pod["spec"]["containers"])
    before = captured_before(pod)
    chosen = wishes.containers or (before if before and set(before) <= set(names) else names)
    for name in [*wishes.wrap, *wishes.commands]:
        if name not in chosen:
            raise Refusal(
                f"container {name} has an annotation {asked.WRAP} or {asked.COMMAND}"
                f"{name}, and is not among those to be captured: {', '.join(chosen)}"
            )
    return chosen


def _engine(container: Manifest, wishes: Wishes) -> str:
    """As the annotation says, else as the container's own variable does."""
    own = value_of(container, _ENGINE)
    if wishes.engine is None and own is not None:
        return asked.check_engine(f"{_ENGINE} of container {container['name']}", own)
    return wishes.engine or asked.PROCESS


def _start_by_init(pod: Manifest, captured: Sequence[Manifest], wishes: Wishes) -> list[str]:
    """Puts mmsnap-init in front of commands; what only the node knows is left to the node."""
    warnings, by_node = [], []
    for container in captured:
        name, own = container["name"], container.get("command") or ()
        told = wishes.commands.get(name)
        if is_wrapped(own):
            continue
        if name in wishes.wrap or not (own or told):
            by_node.append(name)
            continue
        if own and told:
            warnings.append(
                f"mmsnap: container {name} has a command; annotation {asked.COMMAND}{name} "
                "is not used"
            )
        container["command"] = wrapped(own or told or ())
    if by_node:
        notes = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**notes, asked.WRAP: ",".join(by_node)}
    return warnings


def _variables(
    container: str, identity: Identity, engine: str, wishes: Wishes
) -> Mapping[str, str]:
    variables = {
        "MMSNAP_ADDRESS": _ADDRESS,
        "MMSNAP_GROUP": identity.group,
        "MMSNAP_MEMBER": identity.members[container],
        _ENGINE: engine,
    }
    if wishes.on_loss is not None:
        variables["MMSNAP_ON_LOSS"] = wishes.on_loss
    if wishes.profile is not None and engine == asked.PROCESS:
        variables["MMSNAP_PROFILE"] = wishes.profile
    return variables


def _with_nodes(given: Mapping[str, str], needed: Mapping[str, str]) -> dict[str, str]:
    for label, value in needed.items():
        if given.get(label, value) != value:
            raise Refusal(
                f"its nodeSelector wants nodes with {label}={given[label]}, and mmsnap's agents "
                f"are on nodes with {label}={value}"
            )
    return {**given, **needed}
