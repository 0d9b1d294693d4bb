"""What the service's lines in the log look like: text for people, or a JSON object each.

Every line that concerns a group names it and an epoch, as fields and not in the words, so that what
happened to one cut on all nodes is found by one search. What is worth a line is not decided here.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

FIELDS: Final = ("group", "epoch", "member", "peer", "phase")


def about(
    group: str, epoch: int, *, member: str = "", peer: str = "", phase: str = ""
) -> dict[str, str | int]:
    """What a line is about, to be given to the logger as `extra`.

    Args:
        epoch: of the operation; 0 before a group's first one.
        member: one or several, with commas between.
        peer: another node.
        phase: the step of the operation.
    """
    told: dict[str, str | int] = {
        "group": group, "epoch": epoch, "member": member, "peer": peer, "phase": phase,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value != ""}


def log_to_stderr(*, as_json: bool, node: str = "", level: str = "INFO") -> None:
    """Has everything from `level` on written; `node` is the name among several."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json(node) if as_json else _Text())
    logging.basicConfig(level=level, handlers=[handler])


def _fields(record: logging.LogRecord) -> dict[str, str | int]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


class _Text(logging.Formatter):
    """Time, level, module, what it is about, and the words."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(about)s%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        about = " ".join(f"{name} {value}" for name, value in _fields(record).items())
        record.about = f"{about}: " if about else ""
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """One object a line."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = {"node": node} if node else {}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._node,
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
