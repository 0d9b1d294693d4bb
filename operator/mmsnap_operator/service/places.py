"""Where the agents are, and what they are shown: read out of their pods and out of a secret."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.deployment.agents import COMPONENT
from mmsnap_operator.health.pods import is_ready
from mmsnap_operator.names import COMPONENT_LABEL, MANAGED_BY_LABEL, OPERATOR

AGENT_LABELS: Final = {MANAGED_BY_LABEL: OPERATOR, COMPONENT_LABEL: COMPONENT}
_LISTEN: Final = "--listen=$(HOST_IP):"


def addresses_of(pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of the agents that are ready, in the order of their nodes."""
    ready = (pod for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp"))
    found = ((str(pod["spec"].get("nodeName", "")), _address(pod)) for pod in ready)
    return [address for _, address in sorted(found) if address]


def certificates_of(secret: Mapping[str, Any] | None) -> tuple[bytes, bytes, bytes] | None:
    """The authority, and the operator's certificate and key; None: they are not made yet."""
    data: Mapping[str, str] = (secret or {}).get("data") or {}
    try:
        authority, certificate, key = (
            base64.b64decode(data[name], validate=True) for name in ("ca.crt", "tls.crt", "tls.key")
        )
    except (KeyError, ValueError):
        return None
    return authority, certificate, key


def _address(pod: Mapping[str, Any]) -> str:
    host = pod.get("status", {}).get("hostIP")
    words = (word for box in pod["spec"]["containers"] for word in box.get("args") or ())
    port = next((word.removeprefix(_LISTEN) for word in words if word.startswith(_LISTEN)), "")
    if not host or not port:
        return ""
    return f"tls://[{host}]:{port}" if ":" in host else f"tls://{host}:{port}"
