"""The Hazelcast tutorial's cluster of three in pods: made, filled, asked and harmed."""

from __future__ import annotations

import re
import socket
import subprocess
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
    """A set of members in a namespace, and a client beside them."""

    def __init__(self, site: PodsSite, namespace: str, name: str = "hz") -> None:
        self._site = site
        self._cluster = site.cluster
        self._namespace = namespace
        self._name = name
        self._names = [f"{name}-{number}" for number in range(MEMBERS)]

    @property
    def group(self) -> str:
        return f"{self._namespace}--{self._name}"

    def create(self) -> None:
        """The manifests of the tutorial; under another name where it is a clone."""
        for file in ("service.yaml", "hazelcast.yaml", "client.yaml"):
            text = (MANIFESTS / file).read_text()
            text = text.replace("{name: hz}", f"{{name: {self._name}}}")
            text = re.sub(r"hz-(\d)", rf"{self._name}-\1", text)
            self._cluster.kubectl("apply", "-n", self._namespace, "-f", "-", stdin=text)

    def delete(self) -> None:
        """The set and its pods; service and client stay."""
        words = ("delete", "statefulset", self._name, "-n", self._namespace, "--cascade=foreground")
        self._cluster.kubectl(*words, "--wait=true", seconds=90)
        for name in self._names:
            self._cluster.wait_for(f"pod/{name}", "delete", namespace=self._namespace)

    def await_whole(self, seconds: int = 120) -> None:
        """Each member sees a cluster of three, which is safe."""
        self._cluster.wait_for("pod/client", namespace=self._namespace, seconds=60)
        self.personnel("health", f"--wait={seconds}")

    def personnel(self, *words: str) -> str:
        """What a user does with the map, in the client's pod."""
        command = ("exec", "-n", self._namespace, "client", "--", "personnel", *words)
        return self._cluster.kubectl(*command, seconds=150)

    def verify(self) -> str:
        """How many employees are right."""
        try:
            return self.personnel("verify", f"--entries={ENTRIES}").strip()
        except subprocess.CalledProcessError as error:
            return str(error.stdout).strip()

    def kill(self) -> None:
        """The Java processes, as nothing else would."""
        for name in self._names:
            kill = ("sh", "-c", "kill -KILL $(pidof java)")
            self._cluster.kubectl("exec", "-n", self._namespace, name, "--", *kill)

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
