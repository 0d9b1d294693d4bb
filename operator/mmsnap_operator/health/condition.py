"""One condition, and how a new set of them replaces the one before."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_MESSAGE_MAX: Final = 8000


@dataclass(frozen=True, slots=True)
class Condition:
    """`holds` None: unknown."""

    type: str
    holds: bool | None
    reason: str
    message: str = ""

    @property
    def status(self) -> str:
        """As the API has it."""
        return {True: "True", False: "False", None: "Unknown"}[self.holds]


def merged(
    before: Sequence[Mapping[str, Any]],
    now_true: Sequence[Condition],
    generation: int,
    now: datetime.datetime,
) -> list[dict[str, Any]]:
    """The new conditions as the API has them; the time of the last change stays where none was."""
    known = {condition["type"]: condition for condition in before}
    result = []
    for condition in now_true:
        old = known.get(condition.type)
        same = old is not None and old["status"] == condition.status
        since = old["lastTransitionTime"] if same and old is not None else _text(now)
        result.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message[:_MESSAGE_MAX],
                "observedGeneration": generation,
                "lastTransitionTime": since,
            }
        )
    return result


def _text(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
