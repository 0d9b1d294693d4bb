"""The SDK's asyncio variant, importable as `mmsnap.aio`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsnap_sdk.aio import AsyncApp, __getattr__, open  # noqa: A004 - used as mmsnap.aio.open

if TYPE_CHECKING:
    from mmsnap_sdk.aio import Client, attach

__all__ = ["AsyncApp", "Client", "__getattr__", "attach", "open"]
