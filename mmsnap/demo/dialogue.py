"""What the conductor and a worker say to each other, over the worker's pipes.

Orders go in, a word a line; reports come out, a JSON object a line. The messages between workers
are not here; they never pass the conductor.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final


class Order(StrEnum):
    """What a worker is told."""

    GO = "go"  # read the stream
    CHECKPOINT = "checkpoint"  # of itself alone
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has its memory and waits for GO.

    Attributes:
        epoch: of the checkpoint that it began with, or None.
        memory_ns: from asking for its memory until its arrays were there.
    """

    epoch: int | None
    memory_ns: int
    taken: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the worker is.

    Attributes:
        taken: flights of its share that it has read.
        idle: it has read all, and its peers have acknowledged all that it sent.
        resent: messages that it sent to its peers again, since this process began.
        missing: messages of its peers that never came, since this process began.
    """

    taken: int
    idle: bool
    resent: int
    missing: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A checkpoint was taken: of the worker alone, or, as the conductor notes it, of the group."""

    epoch: int
    pause_ns: int
    bytes_written: int


Report = Ready | Progress | Cut
_KINDS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (Ready, Progress, Cut)}


def encode(report: Report) -> str:
    """A report as a line."""
    return json.dumps({"kind": type(report).__name__, **asdict(report)}) + "\n"


def decode(line: bytes) -> Report:
    """The report in a line."""
    fields = json.loads(line)
    report: Report = _KINDS[fields.pop("kind")](**fields)
    return report
