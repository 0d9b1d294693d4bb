"""What an `App` stands on: the seam between the SDK and whoever takes the checkpoints.

There are two backends: the embedded region (`embedded.py`), which cuts itself, and the
membership of a group (`membership.py`), which is cut by a node service. `App` keeps arrays,
state and hooks the same over both. A backend calls its `Listener` around every cut and every
restore, whoever asked for it. This module holds the protocols only, no behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from mmsnap.memory import Region
from mmsnap.retention import Retention
from mmsnap_sdk.checkpoint import Checkpoint, Durability

DEFAULT_TIMEOUT_NS: Final = 10 * 10**9


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """What is asked of one checkpoint.

    Attributes:
        name: a DNS label, or None for an automatic name (only those are pruned by policy).
        labels: small strings kept with it.
        wait: what it must have reached when the call returns.
        timeout_ns: for hooks and open updates together, before the pause.
        max_pause_ns: abort a cut whose pause would exceed it; 0: no budget.
        accept_partial: an update that an exception left half done counts as done.
    """

    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    wait: Durability = "captured"
    timeout_ns: int = DEFAULT_TIMEOUT_NS
    max_pause_ns: int = 0
    accept_partial: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a checkpoint ended; what `after_checkpoint` hooks are given.

    Attributes:
        committed: whether the checkpoint exists now.
        epoch: its number, 0 when it failed before it had one.
        checkpoint: the committed checkpoint, else None.
        error: why there is none, else None.
    """

    committed: bool
    epoch: int
    checkpoint: Checkpoint | None = None
    error: BaseException | None = None


class Listener(Protocol):
    """The application's side of cuts and restores; `listener.py` implements it."""

    def before_checkpoint(self, budget_ns: int) -> int:
        """Runs the before hooks within `budget_ns`; returns the nanoseconds they took.

        Raises whatever a hook raised, or QuiesceTimeoutError: the checkpoint must not be
        taken, and `after_checkpoint` must be called with the error.
        """

    def after_checkpoint(self, outcome: Outcome) -> None:
        """Runs the after hooks; never raises."""

    def after_restore(self, checkpoint: Checkpoint | None) -> None:
        """The memory shows `checkpoint` (None: empty) since just now. Never raises."""

    def background_failure(self, error: Exception) -> None:
        """Something failed that nobody waits for: logged, raised by the next checkpoint."""


class Backend(Protocol):
    """Who takes, keeps and gives back the checkpoints of one region.

    Everything may be called from any thread. Errors are those of `mmsnap.errors`.
    """

    @property
    def region(self) -> Region:
        """The region whose bytes the App shows."""

    @property
    def group(self) -> str | None:
        """The group whose checkpoints these are; None when embedded."""

    @property
    def restored(self) -> Checkpoint | None:
        """What the memory showed when it was opened or attached; None: it was empty."""

    def start(self, listener: Listener) -> None:
        """Called once, when the App is ready to be cut."""

    def expect_hooks(self) -> None:
        """From now on there is a `before_checkpoint` hook to be called before each cut."""

    def checkpoint(self, request: CheckpointRequest) -> Checkpoint:
        """Takes a checkpoint; returns when it has reached `request.wait`."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """Makes it the head and shows it; returns when `after_restore` has run."""

    def head(self) -> Checkpoint | None:
        """The checkpoint that a restart would show; None: none."""

    def find(self, name: str) -> Checkpoint:
        """By name, "latest" (the head) or "@EPOCH"; NotFoundError."""

    def checkpoints(self) -> list[Checkpoint]:
        """All of them, ascending by epoch."""

    def delete(self, checkpoint: Checkpoint) -> None:
        """Deletes one; refuses the head."""

    def pin(self, checkpoint: Checkpoint, pinned: bool) -> None:
        """Keeps it from pruning, or no longer."""

    def prune(self, retention: Retention, *, dry_run: bool = False) -> list[Checkpoint]:
        """Deletes what the policy lets go, unless `dry_run`; returns it, ascending by epoch."""

    def close(self) -> None:
        """Ends the membership, if any, and closes the region; takes no checkpoint."""
