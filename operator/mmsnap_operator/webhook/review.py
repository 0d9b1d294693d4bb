"""One AdmissionReview, answered.

Who asked by annotation gets what was asked for or a reason; whose name only begins like one of the
MemoryMachine's prefixes is let through as it is when it can not be captured, with a warning.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from mmsnap_operator.webhook.injection import inject
from mmsnap_operator.webhook.patch import patch_of
from mmsnap_operator.webhook.refusals import Refusal
from mmsnap_operator.webhook.settings import Current, Settings
from mmsnap_operator.webhook.wishes import ASKED, NO, YES

log = logging.getLogger(__name__)

API_VERSION: Final = "admission.k8s.io/v1"
_FORBIDDEN: Final = 403

Answer = dict[str, Any]


class Way(StrEnum):
    """How a pod came to be asked about; the path of its webhook."""

    ANNOTATION = "annotation"
    PREFIX = "prefix"


class MalformedReview(ValueError):
    """Not what an API server sends."""


def answer(review: object, way: Way, current: Current) -> Answer:
    """The review with its response; MalformedReview."""
    request = request_of(review)
    response = {"uid": request["uid"], **_response(request, way, current)}
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def _response(request: Mapping[str, Any], way: Way, current: Current) -> Answer:
    if request.get("operation", "CREATE") != "CREATE" or request.get("subResource"):
        return {"allowed": True}
    pod = _pod(request)
    wish = (pod["metadata"].get("annotations") or {}).get(ASKED)
    if wish == NO or (wish is None and way is Way.ANNOTATION):
        return {"allowed": True}
    try:
        if wish not in (None, YES):
            raise Refusal(f'annotation {ASKED} is {wish!r}: write "{YES}" or "{NO}"')
        injected = inject(pod, request.get("namespace") or "default", _settings(current))
    except Refusal as refusal:
        return _not_captured(way, str(refusal))
    except Exception:
        log.exception("a pod could not be looked at")
        return _not_captured(way, "mmsnap failed on it: see the log of its operator")
    return _captured(patch_of(pod, injected.pod), injected.warnings)


def _settings(current: Current) -> Settings:
    if current.settings is not None:
        return current.settings
    if current.known:
        raise Refusal(
            "there is no MemoryMachine, so no agent to capture it: apply one first "
            f'(kubectl get memorymachines -A), or set the annotation {ASKED} to "{NO}"'
        )
    raise Refusal("the operator has just started and not yet read the MemoryMachine: try again")


def _captured(patch: Sequence[Mapping[str, Any]], warnings: Sequence[str]) -> Answer:
    response: Answer = {"allowed": True}
    if patch:
        coded = base64.b64encode(json.dumps(patch).encode()).decode()
        response |= {"patchType": "JSONPatch", "patch": coded}
    return response | ({"warnings": list(warnings)} if warnings else {})


def _not_captured(way: Way, reason: str) -> Answer:
    if way is Way.PREFIX:
        return {"allowed": True, "warnings": [f"mmsnap does not capture this pod: {reason}"]}
    message = f"mmsnap can not capture this pod: {reason}"
    status = {"code": _FORBIDDEN, "reason": "Forbidden", "message": message}
    return {"allowed": False, "status": status}


def request_of(review: object) -> Mapping[str, Any]:
    """Checks what everything else relies on; MalformedReview."""
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise MalformedReview("no AdmissionReview")
    if review.get("apiVersion") != API_VERSION:
        raise MalformedReview(f"an AdmissionReview of another version than {API_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise MalformedReview("an AdmissionReview without a request that has a uid")
    return request


def _pod(request: Mapping[str, Any]) -> Mapping[str, Any]:
    pod = request.get("object")
    if not isinstance(pod, dict) or pod.get("kind") != "Pod":
        raise MalformedReview("the object is no Pod")
    metadata, spec = pod.get("metadata"), pod.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise MalformedReview("the Pod has no metadata or no spec")
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers:
        raise MalformedReview("the Pod has no containers")
    return pod
