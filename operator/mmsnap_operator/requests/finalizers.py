"""Our finalizers on objects: put there and taken away, and nobody else's touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.cluster import Api, ApiError, Kind

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


async def hold(api: Api, kind: Kind, manifest: Mapping[str, Any], finalizer: str) -> bool:
    """Put ours on it; False: it changed meanwhile or is gone, look again."""
    there: list[str] = manifest["metadata"].get("finalizers") or []
    return finalizer in there or await _write(api, kind, manifest, [*there, finalizer])


async def release(api: Api, kind: Kind, manifest: Mapping[str, Any], finalizer: str) -> bool:
    """Take ours away; False: it changed meanwhile, look again."""
    there: list[str] = manifest["metadata"].get("finalizers") or []
    left = [one for one in there if one != finalizer]
    return left == there or await _write(api, kind, manifest, left)


async def _write(api: Api, kind: Kind, manifest: Mapping[str, Any], wanted: list[str]) -> bool:
    metadata = manifest["metadata"]
    # With its version, because a list is written as a whole.
    patch = {"metadata": {"finalizers": wanted, "resourceVersion": metadata["resourceVersion"]}}
    try:
        await api.patch(kind, metadata["name"], metadata["namespace"], patch)
    except ApiError as error:
        if error.status not in (_NOT_FOUND, _CONFLICT):
            raise
        return False
    return True
