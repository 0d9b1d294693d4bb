"""The Hazelcast tutorial's cluster of three in pods, as it is seen from outside."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.kubernetes.pods_site import PodsSite

ENTRIES: Final = 50_000
MEMBERS: Final = 3
_PORT: Final = 5701
_ESTABLISHED: Final = "01"
TUTORIAL: Final = Path(__file__).parents[2] / "tutorials/hazelcast"
MANIFESTS: Final = TUTORIAL / "kubernetes"

Connections = set[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Pod:
    """What tells a pod from its successor."""

    uid: str
    address: str


class Hazelcast:
    """A set of members in a namespace."""

    def __init__(self, site: PodsSite, namespace: str, name: str = "hz") -> None:
        self._cluster = site.cluster
        self._namespace = namespace
        self._names = [f"{name}-{number}" for number in range(MEMBERS)]

    def connections(self) -> Connections:
        """Those between members: who asked (by number), who answers, and the port of the asker."""
        numbers = {pod.address: number for number, pod in enumerate(self.pods().values())}
        found: Connections = set()
        for number, name in enumerate(self._names):
            table = ("exec", "-n", self._namespace, name, "--", "cat", "/proc/net/tcp6")
            for line in self._cluster.kubectl(*table).splitlines()[1:]:
                _, local, remote, state, *_ = line.split()
                (_, port), (peer, peer_port) = map(_address, (local, remote))
                if state == _ESTABLISHED and peer in numbers and peer_port == _PORT:
                    found.add((number, numbers[peer], port))
        return found

    def pods(self) -> dict[str, Pod]:
        """By name."""
        found: dict[str, Pod] = {}
        for name in self._names:
            pod: dict[str, Any] = self._cluster.get("pod", name, "-n", self._namespace)
            found[name] = Pod(pod["metadata"]["uid"], pod["status"]["podIP"])
        return found


def _address(told: str) -> tuple[str, int]:
    """Of IPv4, as the kernel writes it in its table of IPv6."""
    words, port = told.split(":")
    return socket.inet_ntoa(bytes.fromhex(words)[-4:][::-1]), int(port, 16)
