"""What the API server is told about requests: that it is to ask before it takes one.

It fails closed: a request that nobody looked at could restore what its author may not read. So it
is there as long as the operator is installed, with and without a MemoryMachine, and is owned by the
operator's ClusterRole: it goes with it. The operator's own requests (of schedules) are not asked
about; its controllers look at all of them once more. Deletions are never asked about.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.cluster.kinds import (
    CHECKPOINT,
    CHECKPOINT_REQUEST,
    CHECKPOINT_SCHEDULE,
    CLUSTER_ROLE,
    RESTORE_REQUEST,
    Kind,
)
from mmsnap_operator.names import (
    AGENTS,
    COMPONENT_LABEL,
    GROUP,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    OPERATOR,
    VERSION,
    WEBHOOK,
)
from mmsnap_operator.webhook.registration import Place

PATH: Final = "requests"
_SECONDS: Final = 10
_KINDS: Final = (CHECKPOINT, CHECKPOINT_REQUEST, CHECKPOINT_SCHEDULE, RESTORE_REQUEST)


def registration(
    place: Place, bundle: bytes, operator_namespace: str, role: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The ValidatingWebhookConfiguration; `role`: the operator's, None where it has none."""
    operator = f"system:serviceaccount:{operator_namespace}:{OPERATOR}"
    authorities = base64.b64encode(bundle).decode()
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {
            "name": WEBHOOK,
            "labels": {
                NAME_LABEL: AGENTS,
                COMPONENT_LABEL: "webhook",
                MANAGED_BY_LABEL: OPERATOR,
            },
            **({"ownerReferences": [_owner(role)]} if role else {}),
        },
        "webhooks": [
            {
                "name": f"{PATH}.mmsnap.memverge.com",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {**place.client(f"/{PATH}"), "caBundle": authorities},
                "failurePolicy": "Fail",
                "matchConditions": [
                    {
                        "name": "not-the-operator",
                        "expression": f"request.userInfo.username != '{operator}'",
                    },
                    # Labels and finalizers are taken away also where nobody answers.
                    {
                        "name": "says-something-new",
                        "expression": "request.operation == 'CREATE' || "
                        "object.spec != oldObject.spec",
                    },
                ],
                "matchPolicy": "Equivalent",
                "rules": [_rule("CREATE", *_KINDS), _rule("UPDATE", CHECKPOINT_SCHEDULE)],
                "sideEffects": "None",
                "timeoutSeconds": _SECONDS,
            }
        ],
    }


def _rule(operation: str, *of: Kind) -> dict[str, Any]:
    return {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": [operation],
        "resources": [kind.plural for kind in of],
        "scope": "Namespaced",
    }


def _owner(role: Mapping[str, Any]) -> dict[str, str]:
    kind = CLUSTER_ROLE
    named = {"name": role["metadata"]["name"], "uid": role["metadata"]["uid"]}
    return {"apiVersion": kind.api_version, "kind": kind.name, **named}
