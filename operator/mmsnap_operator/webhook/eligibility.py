"""Pods that can not be captured, whatever they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.webhook.refusals import Refusal

_MIRROR: Final = "kubernetes.io/config.mirror"
_SYSTEM_LABEL: Final = "kubernetes.io/os"


def require_eligible(pod: Mapping[str, Any]) -> None:
    """Refusal when no container of it can be captured."""
    spec = pod["spec"]
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        raise Refusal(
            "it is a static pod, which its node started already: make it a pod of the API server"
        )
    if "windows" in (
        (spec.get("os") or {}).get("name"),
        (spec.get("nodeSelector") or {}).get(_SYSTEM_LABEL),
    ):
        raise Refusal("it is a Windows pod, and mmsnap is for Linux")
    if spec.get("hostPID"):
        raise Refusal(
            "it shares the process numbers of its node (hostPID), which may be taken at a restore: "
            "leave hostPID out"
        )
    if spec.get("shareProcessNamespace"):
        raise Refusal(
            "its containers share their process numbers (shareProcessNamespace), and mmsnap-init "
            "has to be number 1 of each: leave shareProcessNamespace out"
        )


def require_own_network(pod: Mapping[str, Any]) -> None:
    """Refusal when the connections of its programs are those of its node."""
    if pod["spec"].get("hostNetwork"):
        raise Refusal(
            "it is on the network of its node (hostNetwork), whose connections can not be held "
            "still: leave hostNetwork out, or use the engine memory"
        )
