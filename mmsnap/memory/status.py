"""Statuses of the C core as exceptions of mmsnap.

The core says what failed; this module adds what to do about it. It decides nothing else.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from mmsnap.errors import (
    AgentUnavailableError,
    CorruptionError,
    FencedError,
    ForkedError,
    FormatVersionError,
    InUseError,
    MmsnapError,
    NotFoundError,
    PauseExceededError,
    PoolFullError,
    QuiesceTimeoutError,
    ReadOnlyError,
    UnsupportedError,
)
from mmsnap.memory._native import ffi, lib

_ERRORS: dict[int, tuple[type[MmsnapError], str]] = {
    lib.MM_E_CORRUPT: (
        CorruptionError,
        "`mmsnap checkpoint verify --pool DIR --region NAME` tells which checkpoints are whole; "
        "`mmsnap restore --pool DIR --region NAME CHECKPOINT` goes back to one of them",
    ),
    lib.MM_E_VERSION: (FormatVersionError, "open it with the version of mmsnap that wrote it"),
    lib.MM_E_FULL: (
        PoolFullError,
        "free space on the pool's medium, delete checkpoints, or open the region with a larger "
        "size; nothing is lost",
    ),
    lib.MM_E_IN_USE: (InUseError, 'end that process, or open with mode="r" to read beside it'),
    lib.MM_E_QUIESCE: (QuiesceTimeoutError, "keep updates short; nothing was cut"),
    lib.MM_E_PAUSE: (PauseExceededError, "allow a longer max_pause, or checkpoint more often"),
    lib.MM_E_NOT_FOUND: (NotFoundError, ""),
    lib.MM_E_READ_ONLY: (ReadOnlyError, 'open the region with mode="a"'),
    lib.MM_E_FORKED: (ForkedError, "open regions after the fork, in the process that uses them"),
    lib.MM_E_FENCED: (FencedError, "attach again"),
    lib.MM_E_UNSUPPORTED: (UnsupportedError, "`mmsnap doctor` tells what this machine can do"),
    lib.MM_E_DISCONNECTED: (AgentUnavailableError, "is `mmsnap agent` running?"),
    lib.MM_E_AGAIN: (MmsnapError, "try again"),
    lib.MM_E_IN_DOUBT: (MmsnapError, "start the agent of this pool, which knows what became of it"),
}

_RETRYABLE = frozenset({lib.MM_E_AGAIN, lib.MM_E_IN_DOUBT})


def text_of(chars: Any) -> str:
    """A C string as text; bytes that are no UTF-8 do not hide the rest."""
    raw = ffi.string(chars)
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw


def raise_status(status: int, subject: str) -> NoReturn:
    """Raises the exception of a negative status of the C core, about ``subject``."""
    message = text_of(lib.mm_error_message())
    if status in (lib.MM_E_HELD, lib.MM_E_OTHER_TASK):
        raise RuntimeError(message)
    if status == lib.MM_E_INVALID:
        raise ValueError(message)
    if status == lib.MM_E_EXISTS:
        raise FileExistsError(message)
    if status == lib.MM_E_IN_USE:
        owner = re.search(r"by process (\d+)", message)
        pid = int(owner[1]) if owner and int(owner[1]) else None
        raise InUseError(message, subject=subject, hint=_ERRORS[status][1], pid=pid)
    kind, hint = _ERRORS.get(status, (MmsnapError, ""))
    retryable = True if status in _RETRYABLE else None
    raise kind(message, subject=subject, hint=hint, retryable=retryable)


def check(status: int, subject: str) -> None:
    """Raises unless ``status`` is MM_OK."""
    if status != lib.MM_OK:
        raise_status(status, subject)
