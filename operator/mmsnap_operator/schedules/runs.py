"""Runs that are objects: the CheckpointRequest of each, and what those that there are say: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mmsnap_operator.names import API_VERSION, GROUP, SCHEDULE_LABEL
from mmsnap_operator.requests.ending import COMPLETE, condition, is_finished

Manifest = Mapping[str, Any]

_FAILURES_BEFORE: Final = f"{GROUP}/failures-before"
_HISTORY_MAX: Final = 3
_NAME_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Runs:
    """The requests of one schedule."""

    active: Sequence[Manifest]
    finished: Sequence[Manifest]  # the newest first

    def failures(self, before: int) -> int:
        """How many failed one after the other; `before`: what was last known.

        Each request says how many had when it was made. So none is counted twice, whenever an
        operator died.
        """
        if not self.finished:
            return before
        newest = self.finished[0]
        if _is_complete(newest):
            return 0
        notes = newest["metadata"].get("annotations") or {}
        return int(notes.get(_FAILURES_BEFORE, 0)) + 1

    @property
    def success(self) -> Manifest | None:
        """The last one that is Complete."""
        return next((one for one in self.finished if _is_complete(one)), None)

    @property
    def superfluous(self) -> Sequence[Manifest]:
        """Old ones that nobody needs to look at any more."""
        return self.finished[_HISTORY_MAX:]


def runs_of(requests: Sequence[Manifest], uid: str) -> Runs:
    """Those that a schedule made."""
    own = sorted(
        (one for one in requests if _is_owned(one, uid)),
        key=lambda one: str(one["metadata"]["creationTimestamp"]),
        reverse=True,
    )
    return Runs(
        [one for one in own if not is_finished(one)], [one for one in own if is_finished(one)]
    )


def request_of(schedule: Manifest, due: datetime, failures: int) -> dict[str, Any]:
    """The request of the run that is due then: always the same, so that it is made once."""
    metadata, template = schedule["metadata"], schedule["spec"]["template"]
    given = template.get("metadata") or {}
    key = key_of(metadata)
    labels = dict(given.get("labels") or {})
    notes = {
        **(given.get("annotations") or {}),
        SCHEDULE_LABEL: key,
        _FAILURES_BEFORE: str(failures),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "CheckpointRequest",
        "metadata": {
            "name": f"{_shortened(metadata['name'])}-{int(due.timestamp())}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": notes,
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "CheckpointSchedule",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": template["spec"],
    }


def key_of(metadata: Manifest) -> str:
    """What its checkpoints are labelled with in the catalog."""
    return f"{metadata['namespace']}.{metadata['name']}"


def _is_complete(request: Manifest) -> bool:
    return condition(request, COMPLETE).get("status") == "True"


def _is_owned(request: Manifest, uid: str) -> bool:
    owners = request["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == uid for owner in owners)


def _shortened(name: str) -> str:
    if len(name) <= _NAME_MAX:
        return name
    code = hashlib.sha256(name.encode()).hexdigest()[:5]
    return f"{name[: _NAME_MAX - 6].rstrip('-.')}-{code}"
