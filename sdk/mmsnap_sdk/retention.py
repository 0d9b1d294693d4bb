"""Which checkpoints a policy lets go, and letting them go."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mmsnap_sdk.backend import Backend
from mmsnap_sdk.checkpoint import Checkpoint


def prunable(
    checkpoints: Iterable[Checkpoint],
    *,
    head_epoch: int | None,
    keep_last: int | None,
    keep_within_ns: int | None,
    now: datetime,
) -> list[Checkpoint]:
    """What `prune` deletes, ascending by epoch.

    Only automatic checkpoints are chosen, never the head, and none that is pinned, is among the
    newest `keep_last` automatic ones, or is younger than
    `keep_within_ns`.
    """
    automatic = sorted((each for each in checkpoints if each.automatic), key=lambda c: c.epoch)
    kept_last = automatic[len(automatic) - min(keep_last or 0, len(automatic)) :]
    kept = {each.epoch for each in kept_last}
    return [
        each
        for each in automatic
        if each.epoch not in kept
        and each.epoch != head_epoch
        and not each.pinned
        and (keep_within_ns is None or _age_ns(each, now) > keep_within_ns)
    ]


def _age_ns(checkpoint: Checkpoint, now: datetime) -> int:
    return (now - checkpoint.created) // timedelta(microseconds=1) * 1000


def prune(
    backend: Backend, keep_last: int | None, keep_within_ns: int | None, *, dry_run: bool = False
) -> list[Checkpoint]:
    """Deletes what `prunable` chooses, unless `dry_run`; returns it."""
    head = backend.head()
    chosen = prunable(
        backend.checkpoints(),
        head_epoch=None if head is None else head.epoch,
        keep_last=keep_last,
        keep_within_ns=keep_within_ns,
        now=datetime.now(UTC),
    )
    for checkpoint in () if dry_run else chosen:
        backend.delete(checkpoint)
    return chosen
