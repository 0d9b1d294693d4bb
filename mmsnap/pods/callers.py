"""Those who come through a pod's door: they may only touch their own group."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from mmsnap.catalog import EngineKind
from mmsnap.node.callers import Context
from mmsnap.node.live_group import LiveGroup
from mmsnap.pods.pod import Pod
from mmsnap.pods.processes import process_in_pod
from mmsnap.pods.shims import is_shim_of, tell_to_stand_aside
from mmsnap.pods.volume import MOUNT_PATH, SOCKET, Volumes, pool_in_container
from mmsnap.rpc.addresses import members_path

# What an application asks for itself. Whatever looks at, or moves, what is not its own is not here.
_ALLOWED: Final[Collection[str]] = frozenset(
    {
        "Attach",
        "Checkpoint",
        "DeleteCheckpoint",
        "ListCheckpoints",
        "ListMembers",
        "PinCheckpoint",
        "Prune",
        "Restore",
        "ShowCheckpoint",
        "VerifyCheckpoint",
        "WaitCheckpoint",
        "Watch",
    }
)


# A shim stands aside when it is in the middle of nothing.
_LOOKS: Final = 100
_LOOK_SECONDS: Final = 0.1


class PodCallers:
    """The processes of one pod."""

    def __init__(self, volumes: Volumes, pod: Pod) -> None:
        self._volumes = volumes
        self._pod = pod

    def require(self, method: str, request: Any, context: Context) -> None:
        """PermissionError for everything but the pod's own members and group."""
        if method not in _ALLOWED:
            raise PermissionError(f"a pod may not {method}")
        if request.group != self._pod.group:
            raise PermissionError(
                f"pod {self._pod} is of group {self._pod.group}; it has no business with "
                f"{request.group[:80] or 'all groups'}"
            )
        if method == "Attach" and request.member not in self._pod.members:
            raise PermissionError(
                f"pod {self._pod} may be {' or '.join(self._pod.members)}, "
                f"not {request.member[:80]}"
            )

    async def process_of(self, member: str, engine: EngineKind, pid: int) -> int:
        # A program's member is its shim, which stands outside and counts as this service does.
        if engine is EngineKind.PROCESS and is_shim_of(pid, self._pod.uid):
            return pid
        return await asyncio.to_thread(process_in_pod, self._pod.uid, member, pid)

    async def make_way(self, group: LiveGroup, member: str, engine: EngineKind) -> None:
        """A program that attaches by itself needs no shim in its place."""
        seat = group.seats.get(member)
        if engine is EngineKind.MEMORY and seat is not None and seat.engine is EngineKind.PROCESS:
            await asyncio.to_thread(tell_to_stand_aside, seat.pid, self._pod.uid)
            for _ in range(_LOOKS):
                if group.seats.get(member) is not seat:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def admit(self, region: str) -> tuple[str, str]:
        await asyncio.to_thread(self._volumes.require_shown, self._pod, region)
        await asyncio.to_thread(self._volumes.open_region, region)
        return str(pool_in_container()), str(members_path(MOUNT_PATH / SOCKET))
