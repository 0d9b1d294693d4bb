"""What the API server is told about the webhook: for which pods it is to ask, and where.

Two webhooks. Pods that asked by annotation fail closed: one that believes itself to be captured and
is not would lose its state. Pods that only have a certain name fail open: nobody is to be unable to
start pods because mmsnap is down. A pod that did neither is never asked about.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.names import (
    AGENTS,
    COMPONENT_LABEL,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    OPERATOR,
)
from mmsnap_operator.webhook.review import Way
from mmsnap_operator.webhook.wishes import ASKED, NO

NAME: Final = "memory-machine-webhook"
LABEL: Final = {"memverge": "enabled"}
_DOMAIN: Final = "mmsnap.memverge.com"
_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_SYSTEM: Final = "kube-system"
_ASKING_SECONDS: Final = 5
_PREFIX_SECONDS: Final = 2
# What a pod's name can begin with. Nothing else can match, or get out of the quotes.
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}", re.ASCII)

_WISH: Final = f"has(object.metadata.annotations) && '{ASKED}' in object.metadata.annotations"
_ASKED: Final = f"{_WISH} && object.metadata.annotations['{ASKED}'] != '{NO}'"
# At this point most pods have no name yet, only what it is to begin with.
_POD_NAME: Final = (
    "(has(object.metadata.name) && object.metadata.name != '' ? object.metadata.name : "
    "has(object.metadata.generateName) ? object.metadata.generateName : '')"
)

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServicePlace:
    """The webhook behind a Service."""

    name: str
    namespace: str
    port: int = 443

    def client(self, path: str) -> Manifest:
        """How the API server reaches this path."""
        service = {"name": self.name, "namespace": self.namespace, "port": self.port}
        return {"service": {**service, "path": path}}

    def host(self) -> str:
        """The name that the API server expects in the certificate."""
        return f"{self.name}.{self.namespace}.svc"


@dataclass(frozen=True, slots=True)
class AddressPlace:
    """The webhook at an address, for an operator that runs beside the cluster."""

    address: str
    port: int

    def client(self, path: str) -> Manifest:
        """How the API server reaches this path."""
        return {"url": f"https://{self.address}:{self.port}{path}"}

    def host(self) -> str:
        """What the API server expects in the certificate."""
        return self.address


Place = ServicePlace | AddressPlace


def registration(
    place: Place, bundle: bytes, prefixes: Iterable[str], operator_namespace: str
) -> Manifest:
    """The MutatingWebhookConfiguration; prefixes that no pod can have are left out."""
    hooks = [_hook(Way.ANNOTATION, "Fail", _ASKING_SECONDS, [("asked", _ASKED)])]
    possible = [prefix for prefix in prefixes if is_prefix(prefix)]
    if possible:
        conditions = [("did-not-say", f"!({_WISH})"), ("is-called", _is_called(possible))]
        hooks.append(_hook(Way.PREFIX, "Ignore", _PREFIX_SECONDS, conditions))
    for hook in hooks:
        way = hook.pop("way")
        authorities = base64.b64encode(bundle).decode()
        hook["clientConfig"] = {**place.client(f"/{way}"), "caBundle": authorities}
        hook["namespaceSelector"] = _namespaces(operator_namespace)
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": NAME,
            "labels": {
                NAME_LABEL: AGENTS,
                COMPONENT_LABEL: "webhook",
                MANAGED_BY_LABEL: OPERATOR,
            },
        },
        "webhooks": hooks,
    }


def is_prefix(text: str) -> bool:
    """Whether a pod's name can begin like this. An empty one would be every pod."""
    return _PREFIX.fullmatch(text) is not None


def _hook(
    way: Way, failure_policy: str, timeout_seconds: int, conditions: Sequence[tuple[str, str]]
) -> Manifest:
    return {
        "name": f"{way}.{_DOMAIN}",
        "way": way,
        "admissionReviewVersions": ["v1"],
        "failurePolicy": failure_policy,
        "matchConditions": [
            {"name": name, "expression": expression} for name, expression in conditions
        ],
        "matchPolicy": "Equivalent",
        "reinvocationPolicy": "IfNeeded",
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
                "scope": "Namespaced",
            }
        ],
        "sideEffects": "None",
        "timeoutSeconds": timeout_seconds,
    }


def _is_called(prefixes: Sequence[str]) -> str:
    listed = ", ".join(f"'{prefix}'" for prefix in sorted(set(prefixes)))
    return f"[{listed}].exists(prefix, {_POD_NAME}.startsWith(prefix))"


def _namespaces(operator_namespace: str) -> Mapping[str, Any]:
    """Never those that mmsnap itself, or the cluster, needs to come up."""
    excluded = sorted({_SYSTEM, operator_namespace})
    return {
        "matchLabels": LABEL,
        "matchExpressions": [{"key": _NAMESPACE_NAME, "operator": "NotIn", "values": excluded}],
    }
