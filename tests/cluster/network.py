"""The wires between the nodes: a switch in a namespace of its own, and a route to each one's pods.

This machine's own network is left as it is, and nothing of a cluster reaches beyond it: what is
sent to the world outside is refused at once rather than lost.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

from tests.cluster.cgroups import Group
from tests.cluster.machine import Machine

SERVICES: Final = "10.91.0.0/16"
FIRST_SERVICE: Final = "10.91.0.1"
PODS: Final = "10.90.0.0/16"
_SWITCH: Final = "10.89.0.1"


def address(number: int) -> str:
    """Of the node of that number, from 1 on."""
    return f"10.89.0.{10 + number}"


def pods(number: int) -> str:
    """The range that the pods of that node get their addresses from."""
    return f"10.90.{number}.0/24"


class Switch:
    """What every node is plugged into."""

    def __init__(self, cluster: str) -> None:
        self._group = Group(cluster, "switch")

    def make(self, pause: Path) -> None:
        self._group.make()
        enter = f'{self._group.entering()} exec "$@"'
        words = ["unshare", "--net", str(pause)]
        subprocess.run(
            ["setsid", "--fork", "sh", "-c", enter, "sh", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        self._await_namespace()
        self._run("ip link add switch type bridge")
        self._run(f"ip addr add {_SWITCH}/24 dev switch")
        self._run("ip link set switch up")
        self._run("ip route add unreachable default")
        self._run("sysctl -q -w net.ipv4.ip_forward=1")

    def plug_in(self, machine: Machine, number: int) -> None:
        """Gives the machine its address, and its routes to the pods of all others."""
        port = f"port{number}"
        # The wire of a machine that lost its power goes by itself, but not at once.
        self._run(f"ip link delete {port}", check=False)
        wire = f"ip link add {port} type veth peer name eth0 netns {machine.init_pid}"
        self._run(wire)
        self._run(f"ip link set {port} master switch up")
        lines = [
            "ip link set lo up",
            f"ip addr add {address(number)}/24 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {_SWITCH}",
            "sysctl -q -w net.ipv4.ip_forward=1",
        ]
        others = [each for each in range(1, 10) if each != number]
        lines += [f"ip route add {pods(each)} via {address(each)}" for each in others]
        subprocess.run(machine.inside(["sh", "-ec", "\n".join(lines)]), check=True)

    def cut(self, number: int) -> None:
        """Nothing reaches that node any more or comes from it, until it is mended."""
        self._run(f"ip link set port{number} down")

    def mend(self, number: int) -> None:
        self._run(f"ip link set port{number} up")

    def _run(self, line: str, *, check: bool = True) -> None:
        words = ["nsenter", f"--net=/proc/{min(self._group.processes())}/ns/net", *line.split()]
        subprocess.run(words, stderr=None if check else subprocess.DEVNULL, check=check)

    def _await_namespace(self) -> None:
        own, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
        while not any(
            Path(f"/proc/{pid}/ns/net").readlink() != own for pid in self._group.processes()
        ):
            if time.monotonic() > deadline:
                raise RuntimeError("the switch between the nodes did not come up")
            time.sleep(0.02)
