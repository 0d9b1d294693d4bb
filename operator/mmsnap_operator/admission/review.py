"""One AdmissionReview of a request, answered: what stands against it, and what is to be known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from mmsnap_operator.admission import access
from mmsnap_operator.admission.requester import Requester
from mmsnap_operator.checkpoints import preflight as checkpoint_preflight
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_operator.requests.failures import AGENT_ERRORS
from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores import preflight as restore_preflight
from mmsnap_operator.restores.origin import find_origin
from mmsnap_operator.schedules.timing import require_times
from mmsnap_operator.webhook.review import API_VERSION, MalformedReview, request_of
from mmsnap_operator.webhook.settings import Current
from mmsnap_operator.workloads.finding import Finding, Weight
from mmsnap_operator.workloads.refusals import Refused

log = logging.getLogger(__name__)

# The API server waits for ten.
_PATIENCE_SECONDS: Final = 8.0
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = 503
_SCHEDULE: Final = kinds.CHECKPOINT_SCHEDULE.name
_OF_AGENTS: Final = (kinds.CHECKPOINT_REQUEST.name, kinds.RESTORE_REQUEST.name)
_NO_MACHINE: Final = Finding(
    "NoMemoryMachine",
    "there is no MemoryMachine, or it is being deleted, so there are no agents to do it: apply one "
    "first (kubectl get memorymachines -A)",
    Weight.PASSING,
)

Answer = dict[str, Any]


class RequestReviews:
    """Of one operator."""

    def __init__(self, site: Site, current: Current, operator_namespace: str) -> None:
        """The API server is asked with the operator's rights, also what the requester's are.

        Args:
            current: whether there is a MemoryMachine.
        """
        self._site = site
        self._current = current
        self._api = site.api
        self._operator_namespace = operator_namespace

    async def answer(self, review: object) -> Answer:
        """The review with its response; MalformedReview."""
        request = request_of(review)
        response = {"uid": request["uid"], **await self._response(request)}
        return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}

    async def _response(self, request: Mapping[str, Any]) -> Answer:
        operation = request.get("operation")
        if operation not in ("CREATE", "UPDATE") or request.get("subResource"):
            return {"allowed": True}
        kind, spec = _asked(request)
        if operation == "UPDATE":
            return _judged(_times(spec)) if kind == _SCHEDULE else {"allowed": True}
        who = Requester.of(request.get("userInfo") or {})
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                findings = await self._findings(kind, request["namespace"], spec, who)
        except Refused as refused:
            findings = [Finding.of(refused)]
        except (*AGENT_ERRORS, ApiError, aiohttp.ClientError) as error:
            log.warning("a %s could not be looked at: %s", kind, error)
            words = str(error) or "no answer in time"
            return _refusal(_UNAVAILABLE, f"it could not be looked at ({words}): try again")
        except Exception:
            log.exception("a %s could not be looked at", kind)
            return _refusal(_UNAVAILABLE, "mmsnap failed on it: see the log of its operator")
        return _judged(findings)

    async def _findings(
        self, kind: str, namespace: str, spec: Mapping[str, Any], who: Requester
    ) -> Sequence[Finding]:
        if kind in _OF_AGENTS and self._current.known and self._current.settings is None:
            return (_NO_MACHINE,)
        if kind == kinds.CHECKPOINT_REQUEST.name:
            return await self._checkpoint(namespace, spec)
        if kind == _SCHEDULE:
            # What is so at the moment may be otherwise when the first one is due.
            found = await self._checkpoint(namespace, spec["template"]["spec"])
            return [*_times(spec), *(_later(finding) for finding in found)]
        if kind == kinds.RESTORE_REQUEST.name:
            return await self._restore(who, namespace, spec)
        await access.require_authorship(self._api, who, namespace)
        return ()

    async def _checkpoint(self, namespace: str, spec: Mapping[str, Any]) -> Sequence[Finding]:
        home = self._operator_namespace
        return await checkpoint_preflight.examine(self._api, namespace, spec, home)

    async def _restore(
        self, who: Requester, namespace: str, spec: Mapping[str, Any]
    ) -> Sequence[Finding]:
        source = spec["source"]
        await access.require_sight(self._api, who, namespace, source)
        await access.require_making(self._api, who, namespace, spec["strategy"])
        asked = {"spec": spec, "metadata": {"namespace": namespace}}
        origin = await find_origin(self._site, asked)
        await access.require_sight_of(self._api, who, namespace, origin)
        return await restore_preflight.examine(
            self._api, namespace, spec, origin, self._operator_namespace
        )


def _times(spec: Mapping[str, Any]) -> Sequence[Finding]:
    """The only part of a schedule that can be changed and make no sense."""
    try:
        require_times(spec)
    except Refused as refused:
        return [Finding.of(refused)]
    return ()


def _later(finding: Finding) -> Finding:
    if finding.weight is not Weight.PASSING:
        return finding
    return Finding(finding.reason, f"as things are now: {finding.message}", Weight.WARNING)


def _judged(findings: Sequence[Finding]) -> Answer:
    refusals = [f"{each.reason}: {each.message}" for each in findings if each.refuses]
    warnings = [f"mmsnap: {each.message}" for each in findings if not each.refuses]
    verdict = _refusal(_FORBIDDEN, "; ".join(refusals)) if refusals else {"allowed": True}
    return verdict | ({"warnings": warnings} if warnings else {})


def _refusal(code: int, message: str) -> Answer:
    reason = "Forbidden" if code == _FORBIDDEN else "ServiceUnavailable"
    return {"allowed": False, "status": {"code": code, "reason": reason, "message": message}}


def _asked(request: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    asked = request.get("object")
    if not isinstance(asked, dict) or not isinstance(asked.get("spec"), dict):
        raise MalformedReview("the object has no spec")
    return str(asked.get("kind")), asked["spec"]
