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
    from mmsnap_sdk.attaching import attach
    from mmsnap_sdk.client import Client

_HOMES: Final = {
    "Client": "mmsnap_sdk.client",
    "aio": "mmsnap_sdk.aio",
    "attach": "mmsnap_sdk.attaching",
    "testing": "mmsnap_sdk.testing",
}

__all__ = [
    "App",
    "Checkpoint",
    "Client",
    "MemberCheckpoint",
    "Outcome",
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
