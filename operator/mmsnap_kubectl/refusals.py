"""What kubectl says when it fails, as the errors of mmsnap: with what to do, and an exit code."""

from __future__ import annotations

import re
from typing import Final

from mmsnap.errors import AgentUnavailableError, MmsnapError, NotFoundError, UnsupportedError

_SERVER: Final = re.compile(r"(?s)Error from server(?: \((?P<reason>\w+)\))?: (?P<words>.*)")
_INVALID: Final = re.compile(r'(?s)The (?P<kind>\S+) "(?P<name>[^"]*)" is invalid:\s*(?P<words>.*)')
_NO_WEBHOOK: Final = re.compile(
    r'(?s).*?failed calling webhook "(?P<name>[^"]*)":\s*(?:failed to call webhook: )?(?P<words>.*)'
)
_WEBHOOK: Final = re.compile(r'(?s).*?admission webhook "[^"]*" denied the request: (?P<words>.*)')
_CREATING: Final = re.compile(r"(?s)error when (?:creating|patching|applying patch)[^:]*:\s*")
_NO_NAMESPACE: Final = re.compile(r'namespaces "(?P<name>[^"]*)" not found')
_NO_VALUE: Final = re.compile(r'Invalid value: "object": ')
_NO_CONNECTION: Final = (
    "Unable to connect to the server",
    "The connection to the server",
    "connection refused",
    "i/o timeout",
    "no such host",
    "context deadline exceeded",
    "ServiceUnavailable",
    "etcdserver: ",
)
_NO_LOGIN: Final = (
    "Unauthorized",
    "You must be logged in",
    "the server has asked for the client to provide credentials",
)
_NO_DEFINITION: Final = (
    "the server doesn't have a resource type",
    "the server could not find the requested resource",
    "no matches for kind",
)


def refusal_of(told: str, subject: str) -> MmsnapError:
    """The error for what kubectl wrote to stderr.

    Args:
        told: all of it.
        subject: the object that it was about.
    """
    said = _without_warnings(told)
    # First: what it says of its own connection sounds as if the API server were not there.
    silent = _NO_WEBHOOK.match(said)
    if silent:
        return _of_webhook(silent["name"], silent["words"], subject)
    if any(sign in said for sign in _NO_DEFINITION):
        return UnsupportedError(
            f"this cluster does not know {subject}",
            subject=subject,
            hint="the operator is not installed, or is older than this command; an administrator "
            "can: kubectl apply -f install.yaml",
        )
    if any(sign in said for sign in _NO_CONNECTION):
        return AgentUnavailableError(
            f"the API server is not reached: {_first_line(said)}",
            subject=subject,
            hint="does `kubectl version` answer? --context and --kubeconfig choose a cluster",
        )
    if any(sign in said for sign in _NO_LOGIN):
        return MmsnapError(
            "the API server does not know you",
            subject=subject,
            hint="log in again, or choose a user with --context or --kubeconfig",
        )
    return _of_server(said, subject)


def _of_webhook(webhook: str, words: str, subject: str) -> MmsnapError:
    ours = webhook.endswith("memverge.com")
    return MmsnapError(
        f"{subject} could not be looked at: the webhook {webhook} does not answer: "
        f"{_first_line(words)}",
        subject=subject,
        hint="the operator's pod starts anew, or does not run: kubectl get deployment -n memverge "
        "memory-machine-operator"
        if ours
        else "it is not of mmsnap: an administrator knows whose it is",
        retryable=True,
    )


def _of_server(said: str, subject: str) -> MmsnapError:
    denied = _WEBHOOK.match(said)
    if denied:
        return MmsnapError(f"{subject} was refused: {denied['words'].strip()}", subject=subject)
    invalid = _INVALID.match(said)
    if invalid:
        return MmsnapError(
            f"{invalid['kind']} {invalid['name']} is not valid: {_joined(invalid['words'])}",
            subject=subject,
        )
    answered = _SERVER.match(said)
    words = _CREATING.sub("", answered["words"]) if answered else said
    reason = answered["reason"] if answered else None
    if reason == "NotFound":
        missing = _NO_NAMESPACE.match(words)
        what = f"the namespace {missing['name']}" if missing else subject
        hint = "-n chooses the namespace"
        return NotFoundError(f"{what} is not there", subject=subject, hint=hint)
    if reason == "Forbidden" and "cannot" in words:
        return MmsnapError(
            f"you may not: {words.strip()}",
            subject=subject,
            hint="an administrator binds you to the ClusterRole memory-machine-viewer, -editor or "
            "-admin in that namespace",
        )
    if reason == "AlreadyExists":
        return MmsnapError(
            f"{subject} is there already", subject=subject, hint="choose another name"
        )
    return MmsnapError(f"{subject}: {_joined(words)}", subject=subject)


def _without_warnings(told: str) -> str:
    lines = [line for line in told.strip().splitlines() if not line.startswith("Warning: ")]
    # Without a server, kubectl repeats what its cache says of it before it tells.
    told_last = [line for line in lines if not re.match(r"[EWI]\d{4} ", line)]
    return "\n".join(told_last or lines).removeprefix("error: ")


def _first_line(said: str) -> str:
    return said.splitlines()[0] if said else "kubectl said nothing"


def _joined(words: str) -> str:
    plain = _NO_VALUE.sub("", words.strip())
    return "; ".join(line.strip().removeprefix("* ") for line in plain.splitlines())
