"""What the checkpoint commands act on: the seam between them and where checkpoints live.

There are two kinds: those of a group, kept by a service (`service.py`), and those of a region of an
embedded pool (`region.py`). This module holds the seam only, no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mmsnap.cli.progress import Told
from mmsnap_sdk.checkpoint import Checkpoint, Durability


@dataclass(frozen=True, slots=True)
class Entry:
    """A checkpoint in the list of its owner.

    Attributes:
        owner: the group or the region it belongs to.
        head: it is what a restart would show.
    """

    owner: str
    checkpoint: Checkpoint
    head: bool


class Checkpoints(Protocol):
    """The checkpoints of one group or region. Errors are those of `mmsnap.errors`.

    A checkpoint is asked for by its name, "latest" (the head) or "@EPOCH".
    """

    @property
    def owner(self) -> str:
        """The group or the region they belong to."""

    def entries(self) -> list[Entry]:
        """All of them, ascending by epoch."""

    def find(self, name: str) -> Entry:
        """One of them."""

    def create(
        self,
        name: str | None,
        *,
        wait: Durability,
        max_pause: str | None,
        replicas: int,
        told: Told,
    ) -> Checkpoint:
        """Takes one; returns when it has reached `wait`. `told` hears of each step."""

    def restore(self, name: str) -> tuple[str, ...]:
        """Makes one the head; returns the programs that have to be started before it happens."""

    def check(self, name: str) -> None:
        """Whether a restore would work: an error says why not."""

    def verify(self, name: str) -> None:
        """Reads everything one stands on; CorruptionError names what is damaged."""

    def delete(self, name: str) -> None:
        """Deletes one; refuses the head."""

    def pin(self, name: str, pinned: bool) -> None:
        """Keeps one from pruning, or no longer."""

    def prune(
        self, keep_last: int | None, keep_within: str | None, *, dry_run: bool
    ) -> list[Entry]:
        """Deletes what no rule keeps, unless `dry_run`; returns it."""

    def wait(self, name: str, durability: Durability, timeout: str | None) -> None:
        """Returns when one has reached `durability`."""
