"""A node: a machine, and the components of Kubernetes that run on it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster import binaries, control_plane, images, network, worker
from tests.cluster.machine import Machine
from tests.cluster.waiting import eventually


class Node:
    """By its number, from 1 on; the first one also carries the control plane."""

    def __init__(self, cluster: str, number: int, work: Path) -> None:
        self.number = number
        self.name = f"node{number}"
        self.address = network.address(number)
        self.machine = Machine(cluster, self.name, work)
        self._keys = work / "keys"

    @property
    def disk(self) -> Path:
        """What outlives a loss of power: the folders bound at their usual places on the node."""
        return self.machine.folder / "disk"

    def enter(
        self, words: Sequence[str], *, check: bool = True, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on the node, as if it was typed there."""
        return subprocess.run(
            self.machine.inside(words),
            env=binaries.environment(),
            capture_output=True,
            text=True,
            check=check,
            timeout=seconds,
        )

    def control_plane(self) -> Mapping[str, Sequence[str]]:
        """Its components' commands; none but on the first node."""
        return control_plane.commands(self._keys, self._keys.parent) if self.number == 1 else {}

    def commands(self) -> Mapping[str, Sequence[str]]:
        """The command of every component, in the order in which they start."""
        return {**self.control_plane(), **worker.commands(self.name, self.number, self._keys)}

    def start(self, component: str) -> None:
        self.machine.start(component, self.commands()[component], binaries.environment())

    def start_all(self) -> None:
        """What makes it a node, the image of the pods' own first process included."""
        worker.configure(self.machine, self.number, self._keys, binaries.build())
        self.start("containerd")
        eventually(lambda: self.answers("containerd"), f"containerd on {self.name}")
        self.load_image(images.pause(worker.PAUSE_IMAGE))
        self.start("kubelet")
        self.start("proxy")

    def answers(self, component: str) -> bool:
        """Whether it runs, and serves if it serves anybody."""
        if self.machine.pid_of(component) is None:
            return False
        check = {
            "containerd": ["ctr", "--connect-timeout=2s", "version"],
            "kubelet": ["curl", "-sf", "http://127.0.0.1:10248/healthz"],
            "proxy": ["curl", "-sf", "http://127.0.0.1:10249/healthz"],
            "coredns": ["curl", "-sf", "http://127.0.0.1:8181/ready"],
            "scheduler": ["curl", "-sfk", "https://127.0.0.1:10259/readyz"],
            "controller-manager": ["curl", "-sfk", "https://127.0.0.1:10257/healthz"],
        }.get(component)
        return check is None or self.enter(check, check=False).returncode == 0

    def load_image(self, tar: Path) -> None:
        """Gives it the images of an archive."""
        ctr = ["ctr", "--connect-timeout=20s", "-n", "k8s.io", "images", "import", str(tar)]
        told = self.enter(ctr, check=False, seconds=300)
        if told.returncode:
            raise RuntimeError(f"{tar} on {self.name}: {told.stderr.strip()}")
