"""The SDK's help for tests, importable as `mmsnap.testing`."""

from mmsnap_sdk.testing import StrayWriteError, Strict, strict

__all__ = ["StrayWriteError", "Strict", "strict"]
