"""What a program is told of a checkpoint: a record of values, taken when it was asked for.

It holds no memory of the region and changes nothing; `App` acts on checkpoints, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from mmsnap.quantities import parse_duration

Consistency = Literal["crash", "application"]
Durability = Literal["captured", "durable", "replicated"]

DURABILITIES: tuple[Durability, ...] = ("captured", "durable", "replicated")


@dataclass(frozen=True, slots=True)
class MemberCheckpoint:
    """One member's part of a group checkpoint."""

    member: str
    pause_ns: int
    hook_ns: int
    bytes_written: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A committed, named checkpoint of a region or of a group.

    Attributes:
        name: a DNS label, unique in the region or group.
        epoch: the number of the cut; later checkpoints have higher ones.
        created: when the cut was, UTC.
        pause_ns: how long the application could not enter an update; of a group, the longest.
        hook_ns: how long `before_checkpoint` hooks ran, before the pause.
        bytes_written: what was copied for it, not the size of the region.
        consistency: "application" when no update was open and nothing was written outside
            of one during the cut, else "crash".
        durability: what it survives: "captured" the process, "durable" the node's restart,
            "replicated" the node. As it was when this record was made.
        labels: what the program attached to it.
        parent: the epoch it was taken on top of, None for the first.
        members: of a group checkpoint, the members' parts; else empty.
        pinned: whether `prune` leaves it alone.
        automatic: whether it was taken without a name of the user's; only those are pruned.
    """

    name: str
    epoch: int
    created: datetime
    pause_ns: int
    hook_ns: int
    bytes_written: int
    consistency: Consistency
    durability: Durability
    labels: Mapping[str, str]
    parent: int | None
    pinned: bool
    automatic: bool
    members: tuple[MemberCheckpoint, ...] = ()
    _promote: Callable[[int, Durability, int | None], None] | None = field(
        default=None, repr=False, compare=False
    )

    def wait(
        self, durability: Durability = "durable", timeout: timedelta | str | None = None
    ) -> None:
        """Returns when the checkpoint has reached `durability`.

        Args:
            durability: "captured" (it is already), "durable" or "replicated".
            timeout: how long to wait at most, like "5s"; by default for ever.

        Raises:
            UnsupportedError: the medium can not keep that promise.
            NotFoundError: the checkpoint was deleted meanwhile.
            TimeoutError: it was not reached in time; it is still being worked on.
        """
        if durability not in DURABILITIES:
            raise ValueError(f"durability is one of {', '.join(DURABILITIES)}, not {durability!r}")
        timeout_ns = None if timeout is None else parse_duration(timeout)
        reached = DURABILITIES.index(self.durability) >= DURABILITIES.index(durability)
        if not reached and self._promote is not None:
            self._promote(self.epoch, durability, timeout_ns)
