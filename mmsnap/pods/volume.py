"""What a pod finds in its volume: a socket, and the folders of its own regions.

    agent.sock, agent.sock.members   the pod's own door
    pool/regions/GROUP.MEMBER        of the node's pool, by a bind mount

The folder itself lies in the pool, so that its medium is the pool's. Nobody but root reaches it
there, which is why it may be open to everybody inside: to the pod's user, whoever that is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from mmsnap.errors import AbortedError
from mmsnap.pods import mounts
from mmsnap.pods.pod import Pod

FOLDER: Final = "pods"
# Where the volume is in a container.
MOUNT_PATH: Final = Path("/run/mmsnap")
SOCKET: Final = "agent.sock"
_POOL: Final = "pool"
_HEADER: Final = "mmsnap.pool"
_REGIONS: Final = "regions"
_OPEN_FOLDER: Final = 0o777
_OPEN_FILE: Final = 0o666


def folder_of(pool: Path, pod: Pod) -> Path:
    """Of the pod's door, on this node."""
    return pool / FOLDER / pod.uid


def lay_out(pool: Path, pod: Pod) -> None:
    """Makes the folder of the pod and those of its regions."""
    for folder in (pool / FOLDER, pool / _REGIONS):
        folder.mkdir(mode=0o700, exist_ok=True)
    folder = folder_of(pool, pod)
    for inner in (folder, folder / _POOL, folder / _POOL / _REGIONS):
        _make_open(inner)
    header = folder / _POOL / _HEADER
    shutil.copyfile(pool / _HEADER, header)
    header.chmod(_OPEN_FILE)
    for region in pod.regions:
        _make_open(folder / _POOL / _REGIONS / region)
        (pool / _REGIONS / region).mkdir(mode=0o700, exist_ok=True)
        open_region(pool, region)


def publish(pool: Path, pod: Pod) -> None:
    """Shows the folder where the kubelet wants it; once more changes nothing. OSError."""
    target = Path(pod.target)
    if mounts.mounted_under(target):
        return
    target.mkdir(mode=0o750, parents=True, exist_ok=True)
    mounts.bind(folder_of(pool, pod), target)
    try:
        for region in pod.regions:
            mounts.bind(pool / _REGIONS / region, target / _POOL / _REGIONS / region)
    except OSError:
        mounts.unmount(target)
        raise


def unpublish(target: Path) -> None:
    """Takes it from there; once more changes nothing. OSError."""
    mounts.unmount(target)
    if target.is_dir():
        target.rmdir()


def clear(pool: Path, pod: Pod) -> None:
    """Removes the pod's folder, which shows nothing any more."""
    shutil.rmtree(folder_of(pool, pod), ignore_errors=True)


def open_region(pool: Path, region: str) -> None:
    """Lets the pod's user at what others wrote there: its predecessor, or this service."""
    folder = pool / _REGIONS / region
    for path, _, files in os.walk(folder):
        Path(path).chmod(_OPEN_FOLDER)
        for name in files:
            Path(path, name).chmod(_OPEN_FILE)


def require_shown(pool: Path, pod: Pod, region: str) -> None:
    """AbortedError when the pod looks at a folder that its region is no longer in."""
    shown = Path(pod.target) / _POOL / _REGIONS / region
    if not shown.is_dir() or not os.path.samefile(shown, pool / _REGIONS / region):
        raise AbortedError(
            f"pod {pod} was started before its memory was brought here",
            subject=str(pod),
            hint="delete the pod: the next one finds it",
        )


def pool_in_container() -> Path:
    return MOUNT_PATH / _POOL


def _make_open(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(_OPEN_FOLDER)
