"""Waiting for an object, with what it says of itself shown meanwhile."""

from __future__ import annotations

import sys
from typing import Final

from mmsnap.cli.progress import working
from mmsnap.errors import AgentUnavailableError, MmsnapError
from mmsnap_kubectl.conditions import conditions_of, has_ended, step_of
from mmsnap_kubectl.kubectl import Kubectl, Manifest
from mmsnap_kubectl.names import KINDS

PATIENCE_SECONDS: Final = 10.0  # with an API server that is away when the end was seen
_MARGIN_SECONDS: Final = 30  # the operator ends a request in its own time, and says why


def follow_request(kubectl: Kubectl, resource: str, made: Manifest, what: str) -> Manifest:
    """A request that was just made, when it is Complete; MmsnapError when it failed."""
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    timeout_seconds = made["spec"]["timeoutSeconds"] + _MARGIN_SECONDS
    where = kubectl.within(namespace)
    try:
        return follow(where, resource, name, "Complete", timeout_seconds, what, was_made=True)
    except (KeyboardInterrupt, AgentUnavailableError):
        kind = KINDS[resource].lower()
        print(  # noqa: T201
            f"{kind}/{name} goes on without you: kubectl mmsnap wait {kind}/{name} -n {namespace}; "
            f"kubectl delete {kind}/{name} -n {namespace} gives it up",
            file=sys.stderr,
        )
        raise


def follow(
    kubectl: Kubectl,
    resource: str,
    name: str,
    condition: str,
    timeout_seconds: float,
    what: str,
    *,
    was_made: bool = False,
) -> Manifest:
    """An object, when this condition of it holds.

    Raises:
        NotFoundError: it is not there, or not any more.
        MmsnapError: it failed, or the time was up before.
    """
    subject = f"{KINDS[resource]} {name}"
    last: Manifest = {}
    with working(what) as told:
        for last in kubectl.watch(resource, name, timeout_seconds, was_made=was_made):
            if has_ended(last, condition):
                return last
            step = step_of(last)
            told(f"{what}: {step}" if step else what)
    # NotFoundError when it was deleted.
    kubectl.get(resource, name, patience_seconds=PATIENCE_SECONDS)
    raise _too_late(subject, last, condition, timeout_seconds)


def _too_late(subject: str, last: Manifest, condition: str, timeout_seconds: float) -> MmsnapError:
    if not last.get("status"):
        return MmsnapError(
            f"{subject}: nobody took it up within {timeout_seconds:.0f} s",
            subject=subject,
            hint="does the operator run? kubectl get deployment -n memverge "
            "memory-machine-operator",
            retryable=True,
        )
    found = conditions_of(last).get(condition)
    why = f": {found.message}" if found is not None and found.message else ""
    return MmsnapError(
        f"{subject} is not {condition} after {timeout_seconds:.0f} s{why}",
        subject=subject,
        hint="a longer --timeout waits on",
        retryable=True,
    )
