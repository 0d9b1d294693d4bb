"""Why a pod does not run, in words and a reason: read from what the kubelet and scheduler tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Manifest = Mapping[str, Any]

_PULLING: Final = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
_STARTING: Final = ("PodInitializing", "ContainerCreating")
_WORDS_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a pod from running.

    Attributes:
        where: its node; before it has one, the pod.
        reason: one word for machines.
        words: what happened, and what to do where that is known.
    """

    where: str
    reason: str
    words: str


def is_ready(manifest: Manifest) -> bool:
    """Whether a pod serves; whether a node answers."""
    told = manifest.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in told)


def trouble(pod: Manifest) -> Trouble | None:
    """What keeps it from running; None: nothing that waiting would not cure."""
    where = pod["spec"].get("nodeName") or f"pod {pod['metadata']['name']}"
    for status in _container_statuses(pod):
        found = _of_container(where, status)
        if found is not None:
            return found
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble(where, "NotScheduled", condition.get("message", ""))
    if pod.get("status", {}).get("phase") == "Failed":
        status = pod["status"]
        return Trouble(where, status.get("reason", "PodFailed"), status.get("message", ""))
    return None


def _container_statuses(pod: Manifest) -> Iterator[Manifest]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _of_container(where: str, status: Manifest) -> Trouble | None:
    state = status.get("state", {})
    waiting = state.get("waiting")
    if waiting and waiting.get("reason") in _PULLING:
        return Trouble(
            where,
            "ImageNotPulled",
            f"the image {status['image']} can not be pulled: {waiting.get('message', '')}",
        )
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    fell = ended is not None and ended.get("exitCode") != 0
    if fell and not status.get("ready") and ended is not None:
        return _last_words(where, status["name"], ended)
    if waiting and waiting.get("reason") not in (*_STARTING, None):
        return Trouble(where, waiting["reason"], waiting.get("message", ""))
    return None


def _last_words(where: str, container: str, ended: Manifest) -> Trouble:
    """What a container said before it ended: a report, a line of a log, or plain text."""
    message = (ended.get("message") or "").strip()
    try:
        report = json.loads(message.splitlines()[-1])
        return Trouble(where, report.get("reason", "Ended"), str(report["message"])[:_WORDS_MAX])
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        pass
    words = message[-_WORDS_MAX:] or ended.get("reason", "it said nothing")
    return Trouble(where, "Ended", f"{container} ended with {ended.get('exitCode')}: {words}")
