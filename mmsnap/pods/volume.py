"""What a pod finds in its volume: sockets, its own part of the pool, and what CRIU needs there.

    agent.sock, agent.sock.members   the pod's own door
    init.sock                        where the mmsnap-init of a container calls
    pool/regions/GROUP.MEMBER        of the node's pool, by a bind mount; the pod's user may write
    pool/processes/GROUP.MEMBER      the same, for root only
    tools/, tmp/                     CRIU and mmsnap-enter; for root only

The folder itself lies in the pool, so that its medium is the pool's. Nobody but root reaches it
there, so the regions may be open to everybody inside: to the pod's user, whoever that is. All else
is root's: CRIU works there with the node's rights, and must find nothing that a pod put in its way.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.errors import AbortedError
from mmsnap.pods import mounts
from mmsnap.pods.pod import Pod
from mmsnap.process.manifest import FOLDER as PROCESSES

FOLDER: Final = "pods"
# Where the volume is in a container.
MOUNT_PATH: Final = Path("/run/mmsnap")
SOCKET: Final = "agent.sock"
INIT_SOCKET: Final = "init.sock"
_POOL: Final = "pool"
_HEADERS: Final = ("mmsnap.pool", "mmsnap.pool.copy")
_REGIONS: Final = "regions"
_TOOLS: Final = "tools"
_TMP: Final = "tmp"
_OPEN_FOLDER: Final = 0o777
_OPEN_FILE: Final = 0o666


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of a node's pods.

    Attributes:
        tools: a folder with CRIU and mmsnap-enter, see `mmsnap.pods.tools`.
    """

    pool: Path
    tools: Path

    def folder(self, pod: Pod) -> Path:
        """Of the pod, on this node."""
        return self.pool / FOLDER / pod.uid

    def lay_out(self, pod: Pod) -> None:
        """Makes the folder of the pod and those of its members."""
        for private in (FOLDER, _REGIONS, PROCESSES):
            (self.pool / private).mkdir(mode=0o700, exist_ok=True)
        folder = self.folder(pod)
        for shown in ("", _POOL, f"{_POOL}/{_REGIONS}", f"{_POOL}/{PROCESSES}", _TOOLS, _TMP):
            (folder / shown).mkdir(exist_ok=True)
        folder.chmod(0o755)
        (folder / _TMP).chmod(0o700)
        for name in _HEADERS:
            shutil.copyfile(self.pool / name, folder / _POOL / name)
            (folder / _POOL / name).chmod(_OPEN_FILE)
        for region in pod.regions:
            for kind in (_REGIONS, PROCESSES):
                (folder / _POOL / kind / region).mkdir(exist_ok=True)
                (self.pool / kind / region).mkdir(mode=0o700, exist_ok=True)
            self.open_region(region)

    def publish(self, pod: Pod) -> None:
        """Shows the folder where the kubelet wants it; once more changes nothing. OSError."""
        target = Path(pod.target)
        if mounts.mounted_under(target):
            return
        target.mkdir(mode=0o750, parents=True, exist_ok=True)
        mounts.bind(self.folder(pod), target)
        try:
            mounts.bind(self.tools, target / _TOOLS)
            for region in pod.regions:
                for kind in (_REGIONS, PROCESSES):
                    mounts.bind(self.pool / kind / region, target / _POOL / kind / region)
        except OSError:
            mounts.unmount(target)
            raise

    def clear(self, pod: Pod) -> None:
        """Removes the pod's folder, which shows nothing any more."""
        shutil.rmtree(self.folder(pod), ignore_errors=True)

    def open_region(self, region: str) -> None:
        """Lets the pod's user at what others wrote there: its predecessor, or this service."""
        for path, _, files in os.walk(self.pool / _REGIONS / region):
            Path(path).chmod(_OPEN_FOLDER)
            for name in files:
                Path(path, name).chmod(_OPEN_FILE)

    def require_shown(self, pod: Pod, region: str) -> None:
        """AbortedError when the pod looks at a folder that its region is no longer in."""
        shown = Path(pod.target) / _POOL / _REGIONS / region
        if not shown.is_dir() or not os.path.samefile(shown, self.pool / _REGIONS / region):
            raise AbortedError(
                f"pod {pod} was started before its memory was brought here",
                subject=str(pod),
                hint="delete the pod: the next one finds it",
            )


def unpublish(target: Path) -> None:
    """Takes a volume from where the kubelet wanted it; once more changes nothing. OSError."""
    mounts.unmount(target)
    if target.is_dir():
        target.rmdir()


def pool_in_container() -> Path:
    """The pool as a container sees it."""
    return MOUNT_PATH / _POOL
