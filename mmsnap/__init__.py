"""Checkpoint and restore the memory of stateful applications, alone or in groups.

    import mmsnap
    with mmsnap.open("./pool", "counter", size="1GiB", every="1s") as app:
        ...

This package holds the layers below the SDK; what programs use is the SDK's, and is shown here
under the product's name, loaded when it is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mmsnap.errors import (
    AbortedError,
    AgentUnavailableError,
    BusyError,
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
    SchemaMismatchError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from mmsnap import aio, testing
    from mmsnap_sdk import (
        App,
        Checkpoint,
        Client,
        MemberCheckpoint,
        Outcome,
        attach,
        open,  # noqa: A004 - it is used as mmsnap.open
    )

_HOMES: Final = {
    "App": "mmsnap_sdk",
    "Checkpoint": "mmsnap_sdk",
    "Client": "mmsnap_sdk",
    "MemberCheckpoint": "mmsnap_sdk",
    "Outcome": "mmsnap_sdk",
    "attach": "mmsnap_sdk",
    "open": "mmsnap_sdk",
    "aio": "mmsnap.aio",
    "testing": "mmsnap.testing",
}

__all__ = [
    "AbortedError",
    "AgentUnavailableError",
    "App",
    "BusyError",
    "Checkpoint",
    "Client",
    "CorruptionError",
    "FencedError",
    "ForkedError",
    "FormatVersionError",
    "InUseError",
    "MemberCheckpoint",
    "MmsnapError",
    "NotFoundError",
    "Outcome",
    "PauseExceededError",
    "PoolFullError",
    "QuiesceTimeoutError",
    "ReadOnlyError",
    "SchemaMismatchError",
    "UnsupportedError",
    "aio",
    "attach",
    "open",
    "testing",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home)
    return module if home == f"{__name__}.{name}" else getattr(module, name)
