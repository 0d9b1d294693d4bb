"""The pods of this node: each gets its volume and its door, and loses them with its end."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.errors import AbortedError
from mmsnap.node.agent import Agent, OpenDoor
from mmsnap.pods.callers import PodCallers
from mmsnap.pods.pod import Pod, read, write
from mmsnap.pods.release import release
from mmsnap.pods.shims import Shims
from mmsnap.pods.volume import FOLDER, SOCKET, Volumes, unpublish

log = logging.getLogger(__name__)

_RECORD_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class _Resident:
    pod: Pod
    door: OpenDoor
    shims: Shims


class Residents:
    """Of one event loop; what is asked twice is done once."""

    def __init__(self, agent: Agent, volumes: Volumes) -> None:
        self._agent = agent
        self._volumes = volumes
        self._residents: dict[str, _Resident] = {}
        self._turn = asyncio.Lock()
        self._releases: set[asyncio.Task[None]] = set()

    async def return_home(self) -> None:
        """Opens the doors of the pods that were here before the service's present life."""
        for file in sorted((self._volumes.pool / FOLDER).glob(f"*{_RECORD_SUFFIX}")):
            try:
                await self._open(read(file))
            except (OSError, ValueError) as error:
                log.error("a pod of before is not served: %s", error)

    async def publish(self, pod: Pod) -> None:
        """Shows a pod its volume; OSError, AbortedError."""
        async with self._turn:
            here = self._residents.get(pod.uid)
            if here is not None and here.pod.target != pod.target:
                raise AbortedError(
                    f"pod {pod} has a volume of this driver already",
                    subject=str(pod),
                    hint="one volume for all of its containers is enough",
                )
            await asyncio.to_thread(self._volumes.lay_out, pod)
            await asyncio.to_thread(write, pod, self._record(pod))
            if here is None:
                await self._open(pod)
            await asyncio.to_thread(self._volumes.publish, pod)
        log.info("pod %s came, group %s", pod, pod.group)

    async def unpublish(self, volume_id: str, target: Path) -> None:
        """Takes the volume of a pod that ended, and what nobody can want of it; OSError."""
        async with self._turn:
            await asyncio.to_thread(unpublish, target)
            gone = next(
                (each for each in self._residents.values() if each.pod.volume == volume_id), None
            )
            if gone is None:
                return
            await self._close(gone)
            await asyncio.to_thread(self._volumes.clear, gone.pod)
            await asyncio.to_thread(self._record(gone.pod).unlink, missing_ok=True)
        log.info("pod %s went", gone.pod)
        releasing = asyncio.create_task(release(self._agent.groups, gone.pod))
        self._releases.add(releasing)
        releasing.add_done_callback(self._releases.discard)

    async def close(self) -> None:
        """Lets nobody in any more; the pods run on, and the volumes stay."""
        for resident in tuple(self._residents.values()):
            await self._close(resident)
        if self._releases:
            await asyncio.wait(self._releases)

    async def _open(self, pod: Pod) -> None:
        path = self._volumes.folder(pod) / SOCKET
        door = await self._agent.open_door(path, PodCallers(self._volumes, pod))
        self._residents[pod.uid] = _Resident(pod, door, Shims(self._volumes, pod))

    async def _close(self, resident: _Resident) -> None:
        del self._residents[resident.pod.uid]
        resident.shims.close()
        await self._agent.close_door(resident.door)

    def _record(self, pod: Pod) -> Path:
        return self._volumes.pool / FOLDER / f"{pod.uid}{_RECORD_SUFFIX}"
