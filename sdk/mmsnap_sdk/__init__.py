"""What applications import, as `mmsnap`: memory with checkpoints, embedded or in a group.

Importing this needs the C core and NumPy alone. The client side of the node service and the
asyncio variant are loaded when they are first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mmsnap_sdk.app import App
from mmsnap_sdk.backend import Outcome
from mmsnap_sdk.checkpoint import Checkpoint, MemberCheckpoint
from mmsnap_sdk.opening import open  # noqa: A004 - it is used as mmsnap.open

if TYPE_CHECKING:
    from mmsnap_sdk import aio, testing

_MODULES: Final = ("aio", "testing")

__all__ = [
    "App",
    "Checkpoint",
    "MemberCheckpoint",
    "Outcome",
    "aio",
    "open",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"mmsnap_sdk.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
