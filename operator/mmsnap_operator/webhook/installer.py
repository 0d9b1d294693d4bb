"""The init container that brings mmsnap-init into a pod.

It runs as the first captured container does and asks for the same, so that it passes whatever that
one passes (Pod Security standards, quotas, limits) and changes neither what the pod costs nor its
quality of service: of init containers and containers, the larger sum counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.webhook.refusals import Refusal
from mmsnap_operator.webhook.volumes import BINARY_FOLDER, BINARY_VOLUME

INSTALLER: Final = "mmsnap-install"
PROGRAM: Final = f"{BINARY_FOLDER}/mmsnap-init"
_COMMAND: Final = ["/opt/mmsnap/mmsnap-init", "--install", BINARY_FOLDER]
# When it may not be root and nobody says who: the user of the image is root.
_SOMEBODY: Final = 65532
_SAME: Final = ("runAsUser", "runAsGroup", "runAsNonRoot")
_RESOURCES: Final = ("cpu", "memory")

Manifest = dict[str, Any]


def with_installer(
    pod: Mapping[str, Any], image: str, captured: Mapping[str, Any]
) -> list[Manifest]:
    """The pod's init containers, and ours behind them; Refusal when its name is taken.

    Args:
        captured: the first container that is captured.
    """
    spec = pod["spec"]
    existing: list[Manifest] = list(spec.get("initContainers") or ())
    found = [container for container in existing if container["name"] == INSTALLER]
    others = [*spec["containers"], *(spec.get("ephemeralContainers") or ())]
    if any(container["name"] == INSTALLER for container in others) or any(
        container.get("command") != _COMMAND for container in found
    ):
        raise Refusal(f"it has a container {INSTALLER} of its own: rename that")
    return existing if found else [*existing, _installer(pod, image, captured)]


def _installer(pod: Mapping[str, Any], image: str, captured: Mapping[str, Any]) -> Manifest:
    container: Manifest = {
        "name": INSTALLER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(_COMMAND),
        "volumeMounts": [{"name": BINARY_VOLUME, "mountPath": BINARY_FOLDER}],
        "securityContext": _security(
            pod["spec"].get("securityContext") or {}, captured.get("securityContext") or {}
        ),
    }
    resources = _resources(captured.get("resources") or {})
    return container | ({"resources": resources} if resources else {})


def _security(of_pod: Mapping[str, Any], of_container: Mapping[str, Any]) -> Manifest:
    """As restricted as the strictest standard wants it, and the same user."""
    same = {key: of_container[key] for key in _SAME if of_container.get(key) is not None}
    effective = {**of_pod, **same}
    if effective.get("runAsNonRoot") and effective.get("runAsUser") is None:
        same["runAsUser"] = _SOMEBODY
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **same,
    }


def _resources(of_container: Mapping[str, Any]) -> Manifest:
    asked: Manifest = {}
    for what in ("requests", "limits"):
        given: Mapping[str, Any] = of_container.get(what) or {}
        kept = {name: given[name] for name in _RESOURCES if name in given}
        if kept:
            asked[what] = kept
    return asked


def is_wrapped(command: Sequence[str]) -> bool:
    """Whether mmsnap-init starts it already."""
    return list(command[:2]) == [PROGRAM, "--"]


def wrapped(command: Sequence[str]) -> list[str]:
    """Started by mmsnap-init."""
    return [PROGRAM, "--", *command]
