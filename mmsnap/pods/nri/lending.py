"""The device that a container gets beside its command: /dev/userfaultfd, to track pages by.

A container runtime's own filter of system calls forbids userfaultfd(2), and pods under the
restricted Pod Security standard can not do without that filter. The device gives the same, and
only to containers that have a pod's volume of ours: whose programs may be members.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from mmsnap.pods.nri.nri_pb2 import Container, LinuxDevice, OptionalFileMode
from mmsnap.pods.volume import MOUNT_PATH

DEVICE: Final = Path("/dev/userfaultfd")
# Part of the path under which a kubelet keeps the volumes of CSI drivers.
_CSI: Final = "/kubernetes.io~csi/"
_MODE: Final = 0o666


def lend_userfaultfd(container: Container) -> LinuxDevice | None:
    """The device, for a container with a volume of ours, where this machine has it."""
    volumes = (mount for mount in container.mounts if mount.destination == str(MOUNT_PATH))
    if not any(_CSI in volume.source for volume in volumes):
        return None
    try:
        found = DEVICE.stat()
    except FileNotFoundError:
        return None  # a kernel before 6.1; there the call has to be allowed
    if not stat.S_ISCHR(found.st_mode):
        return None
    return LinuxDevice(
        path=str(DEVICE),
        type="c",
        major=os.major(found.st_rdev),
        minor=os.minor(found.st_rdev),
        file_mode=OptionalFileMode(value=_MODE),
    )
