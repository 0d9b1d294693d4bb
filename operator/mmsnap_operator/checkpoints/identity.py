"""Which bytes a Checkpoint object means.

Group and epoch alone do not say it: a catalog that was made anew counts from 1 again. The catalog's
name has the time and a part of the request's identity, so it is never given twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap.errors import NotFoundError
from mmsnap_sdk.async_client import AsyncClient
from mmsnap_sdk.service_records import GroupCheckpoint

Manifest = Mapping[str, Any]


def identity(checkpoint: Manifest) -> tuple[str, int]:
    """Group and epoch of an object."""
    return checkpoint["spec"]["group"], int(checkpoint["spec"]["epoch"])


def name_of(checkpoint: Manifest) -> str:
    """In the catalog; empty: nothing has been written about it yet."""
    return str((checkpoint.get("status") or {}).get("name") or "")


def is_same(checkpoint: Manifest, taken: GroupCheckpoint) -> bool:
    """Whether what has its group and epoch is what the object was made of."""
    return name_of(checkpoint) in ("", taken.name)


def require_same(checkpoint: Manifest, taken: GroupCheckpoint) -> None:
    """NotFoundError: what the object was made of is gone. Of no object (empty) all is good."""
    if not is_same(checkpoint, taken):
        raise _gone(taken, name_of(checkpoint))


async def delete_bytes(client: AsyncClient, group: str, epoch: int, name: str) -> None:
    """Out of the catalog and the pools, pinned or not; NotFoundError: they are not there any more.

    Raises ValueError for the head, and for what a restore waits for. `name` empty: whatever it is.
    """
    taken = await client.find(group, f"@{epoch}")
    if name not in ("", taken.name):
        raise _gone(taken, name)
    if taken.pinned:
        await client.unpin(group, f"@{epoch}")
    await client.delete_checkpoint(group, f"@{epoch}")


def _gone(taken: GroupCheckpoint, name: str) -> NotFoundError:
    return NotFoundError(
        f"checkpoint {name} of group {taken.group} is gone: @{taken.epoch} is {taken.name} now"
    )
