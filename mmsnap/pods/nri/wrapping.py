"""Which containers get `mmsnap-init` in front of their command, and how that is written.

Decides from what containerd tells about a container, and from nothing else: no I/O, no state. The
webhook writes the annotation, and mounts the folder that `mmsnap-init` is in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mmsnap.pods.nri.nri_pb2 import Container, PodSandbox

log = logging.getLogger(__name__)

WRAP_ANNOTATION: Final = "memory-machine.memverge.com/wrap"
INIT_FOLDER: Final = "/opt/memverge"
INIT_COMMAND: Final = (f"{INIT_FOLDER}/mmsnap-init", "--")


def wrap_named(pod: PodSandbox, container: Container) -> list[str] | None:
    """The arguments of a container that its pod's annotation names, with `mmsnap-init` in front.

    Returns:
        None where nothing is to be changed: the container is not named, is wrapped already, or
        could not be started if it were wrapped.
    """
    named = pod.annotations.get(WRAP_ANNOTATION, "")
    if container.name not in {name.strip() for name in named.split(",")}:
        return None
    if not container.args or container.args[0] == INIT_COMMAND[0]:
        return None
    if all(mount.destination.rstrip("/") != INIT_FOLDER for mount in container.mounts):
        log.warning(
            "the annotation %s of %s/%s names %s, which has no volume at %s: left as it is",
            WRAP_ANNOTATION, pod.namespace, pod.name, container.name, INIT_FOLDER,
        )  # fmt: skip
        return None
    return [*INIT_COMMAND, *container.args]
