"""What an installation may choose.

The image is that of this release, never `latest`: another tag is all that Kubernetes sees of an
upgrade, and pods of one tag are of one version, whenever their image was pulled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

VERSION: Final = "0.1.0"


@dataclass(frozen=True, slots=True)
class Installation:
    """Of one cluster.

    Attributes:
        image: of the operator; agents run the one that the MemoryMachine names.
        namespace: the operator's, in which alone MemoryMachines are honoured.
        kubelet_folder: the --root-dir of the nodes' kubelets.
        nri_folder: where containerd has its socket for plugins.
        log_level: debug, info, warning or error.
        resources: of the operator's container.
    """

    image: str = f"ghcr.io/memverge/mmsnap:{VERSION}"
    namespace: str = "memverge"
    kubelet_folder: str = "/var/lib/kubelet"
    nri_folder: str = "/var/run/nri"
    log_level: str = "info"
    resources: Mapping[str, Any] = field(
        default_factory=lambda: {
            "requests": {"cpu": "50m", "memory": "96Mi"},
            "limits": {"memory": "512Mi"},
        }
    )
