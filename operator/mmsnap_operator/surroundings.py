"""Where the operator is, and how the nodes of this cluster are set up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What differs between clusters.

    Attributes:
        namespace: the operator's own, in which alone it makes anything.
        kubelet_folder: the kubelet's --root-dir.
        nri_folder: where containerd has its socket for plugins.
    """

    namespace: str = "memverge"
    kubelet_folder: str = "/var/lib/kubelet"
    nri_folder: str = "/var/run/nri"
