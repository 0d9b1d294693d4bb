"""How the nodes of this cluster are set up, where that differs between distributions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Folders of the nodes.

    Attributes:
        kubelet_folder: the kubelet's --root-dir.
        nri_folder: where containerd has its socket for plugins.
    """

    kubelet_folder: str = "/var/lib/kubelet"
    nri_folder: str = "/var/run/nri"
