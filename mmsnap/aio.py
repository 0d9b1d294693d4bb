"""The SDK's asyncio variant, importable as `mmsnap.aio`."""

from mmsnap_sdk.aio import AsyncApp, open  # noqa: A004 - it is used as mmsnap.aio.open

__all__ = ["AsyncApp", "open"]
