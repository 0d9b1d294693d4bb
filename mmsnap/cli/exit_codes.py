"""What `mmsnap` exits with, for scripts: one table, and which error ends in which code."""

from __future__ import annotations

from enum import IntEnum

from mmsnap.errors import (
    AbortedError,
    AgentUnavailableError,
    CorruptionError,
    NotFoundError,
    PauseExceededError,
    QuiesceTimeoutError,
)


class ExitCode(IntEnum):
    """Codes of `mmsnap` itself; `mmsnap run` passes on those of the program it runs."""

    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    ABORTED = 4
    CORRUPT = 5
    UNREACHABLE = 6
    NOT_EXECUTABLE = 126
    NO_SUCH_PROGRAM = 127
    INTERRUPTED = 130
    TERMINATED = 143


_OF_ERRORS: dict[type[Exception], ExitCode] = {
    NotFoundError: ExitCode.NOT_FOUND,
    AbortedError: ExitCode.ABORTED,
    QuiesceTimeoutError: ExitCode.ABORTED,
    PauseExceededError: ExitCode.ABORTED,
    CorruptionError: ExitCode.CORRUPT,
    AgentUnavailableError: ExitCode.UNREACHABLE,
}


def exit_code(error: Exception) -> ExitCode:
    """The code for an error that ended a command."""
    for kind, code in _OF_ERRORS.items():
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED
