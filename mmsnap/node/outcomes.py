"""How the end of an operation is told: as an error of mmsnap.errors, as records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from mmsnap.catalog import MemberFigures
from mmsnap.errors import (
    AbortedError,
    MmsnapError,
    PauseExceededError,
    PoolFullError,
    QuiesceTimeoutError,
)
from mmsnap.group import Cause, Failure, Figures
from mmsnap.node.perform import Participant

# mm_status of native/include/mmsnap.h, positive.
_STATUS_FULL: Final = 5
_STATUS_QUIESCE: Final = 7
_STATUS_PAUSE: Final = 8


def error_of(failure: Failure, what: str, subject: str) -> MmsnapError:
    """The error of an aborted operation; `what` is like "checkpoint @7 of group g".

    Whatever it was, the message names the members that it fell on and the step.
    """
    who = ", ".join(failure.members)
    where = f"member {who} at {failure.step}" if who else f"at {failure.step}"
    aborted = f"{what} was aborted: {where}"
    reason = failure.reason or failure.cause.value
    match failure.cause:
        case Cause.PAUSE:
            return _pause_exceeded(aborted, subject)
        case Cause.TIMEOUT if failure.step in ("begin", "quiesce"):
            return _not_quiesced(aborted, "did not end in time", failure.step, subject)
        case Cause.TIMEOUT:
            reason = "did not answer in time"
        case Cause.LOST:
            reason = "its connection ended"
        case Cause.VOID:
            reason = "it ran on when its lease ended"
        case Cause.FAILED if failure.status == _STATUS_FULL:
            return PoolFullError(
                f"{aborted}: found no room: {reason}",
                subject=subject,
                hint="delete or prune checkpoints, or enlarge the pool; the members run on",
            )
        case Cause.FAILED if failure.status == _STATUS_QUIESCE:
            return _not_quiesced(aborted, f"failed: {reason}", failure.step, subject)
        case Cause.FAILED if failure.status == _STATUS_PAUSE:
            return _pause_exceeded(aborted, subject)
        case Cause.EMPTY:
            reason = "the group has no member attached"
    return AbortedError(
        f"{aborted}: {reason}", subject=subject, hint="the members run on; try again"
    )


def records_of(
    figures: Mapping[str, Figures], seats: Iterable[Participant]
) -> tuple[MemberFigures, ...]:
    """What the catalog keeps of the members' figures."""
    known = {seat.name: seat for seat in seats}
    return tuple(
        MemberFigures(
            member=member,
            pause_ns=part.pause_ns,
            waited_ns=part.waited_ns,
            hook_ns=part.hook_ns,
            skew_ns=part.skew_ns,
            bytes_written=part.size_bytes,
            crash_only=part.crash_only,
            engine=known[member].engine,
            node=known[member].home[0],
            freeze_ns=part.freeze_ns,
            dump_ns=part.dump_ns,
            thaw_ns=part.thaw_ns,
        )
        for member, part in sorted(figures.items())
    )


def _pause_exceeded(aborted: str, subject: str) -> PauseExceededError:
    return PauseExceededError(
        f"{aborted}: its pause exceeded the budget",
        subject=subject,
        hint="allow a longer max_pause, or checkpoint more often; the members run on",
    )


def _not_quiesced(aborted: str, how: str, step: str, subject: str) -> QuiesceTimeoutError:
    doing = "hooks or pre-copy" if step == "begin" else "open updates"
    return QuiesceTimeoutError(
        f"{aborted}: {doing} {how}",
        subject=subject,
        hint="make updates and hooks shorter; the members run on",
    )
