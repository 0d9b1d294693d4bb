"""The errors every layer of mmsnap raises, in one place so that all layers agree on them.

An error says what failed, on what (``subject``), what to do (``hint``) and whether trying
again later can help (``retryable``). Mapping errors to exit codes or gRPC statuses is left
to the surfaces that need it.
"""

from __future__ import annotations

from typing import ClassVar


class MmsnapError(Exception):
    """The base of all errors of mmsnap.

    Args:
        message: what failed, as a sentence without a full stop.
        subject: what it failed on: a pool, a region, a checkpoint, an array, a file.
        hint: what to do about it; empty when there is nothing to do.
        retryable: whether the same call can succeed later; by default as its class says.
    """

    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self, message: str, *, subject: str = "", hint: str = "", retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.subject = subject
        self.hint = hint
        self.retryable = self.retryable_by_default if retryable is None else retryable

    @property
    def message(self) -> str:
        """What failed, without the hint."""
        return str(self.args[0])

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class CorruptionError(MmsnapError):
    """Stored bytes fail their checksum or make no sense; ``subject`` names the damaged file."""


class FormatVersionError(MmsnapError):
    """The bytes were written by a newer format than this version reads."""


class PoolFullError(MmsnapError):
    """The pool's medium, or the region's upper bound, has no room."""


class InUseError(MmsnapError):
    """Another process owns the region, the pool or the member's name.

    Attributes:
        pid: the owner's process id, or None when it is not known.
    """

    retryable_by_default = True

    def __init__(
        self,
        message: str,
        *,
        subject: str = "",
        hint: str = "",
        retryable: bool | None = None,
        pid: int | None = None,
    ) -> None:
        super().__init__(message, subject=subject, hint=hint, retryable=retryable)
        self.pid = pid


class SchemaMismatchError(MmsnapError):
    """What is stored has another shape, type or schema number than what was asked for."""


class QuiesceTimeoutError(MmsnapError, TimeoutError):
    """Open updates or hooks did not end before the deadline; nothing was cut."""

    retryable_by_default = True


class PauseExceededError(MmsnapError):
    """The cut would exceed, or exceeded, ``max_pause``; it was aborted."""

    retryable_by_default = True


class NotFoundError(MmsnapError, LookupError):
    """There is no such pool, region, checkpoint, array, group or member."""


class ReadOnlyError(MmsnapError):
    """A change was asked of something that was opened for reading."""


class ForkedError(MmsnapError):
    """Called in a forked child, where the parent's regions are closed."""


class FencedError(MmsnapError):
    """An older epoch or incarnation was shut out by a newer one."""


class AbortedError(MmsnapError):
    """A group checkpoint or restore was aborted; the members run on."""

    retryable_by_default = True


class BusyError(AbortedError):
    """Another operation on the group takes so long that this one's turn did not come.

    Nothing was begun: asking again is no second attempt.
    """


class AgentUnavailableError(MmsnapError):
    """The node service can not be reached."""

    retryable_by_default = True


class UnsupportedError(MmsnapError):
    """This machine, medium or version can not do what was asked for."""
