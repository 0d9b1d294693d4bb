"""A wire to a node that can be cut, or left standing with nothing passing any more.

The node serves at 127.0.0.2, the others are told that it is at 127.0.0.1, and what they connect to
there is a wire for each of its two ports: one for gRPC, one for links. TLS passes as it is.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from tests.nodes.site import Cluster, Node
from tests.ports import free_ports

BEHIND = "127.0.0.2"
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset


class Wire:
    """From a port of 127.0.0.1 to the same one of 127.0.0.2."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.carried = 0  # connections, until now
        self._passes = threading.Event()
        self._passes.set()
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Both ends of every connection hear that it broke; new ones can be made."""
        with self._lock:
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def hold(self) -> None:
        """Nothing passes any more, and nobody hears of it."""
        self._passes.clear()

    def go_on(self) -> None:
        self._passes.set()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._passes.set()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((BEHIND, self.port), 5)
            except OSError:
                near.close()
                continue
            self.carried += 1
            for end in (near, far):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._passes.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def wired_node(cluster: Cluster, name: str) -> tuple[Node, Wire, Wire]:
    """One more node, and its wires: for calls, and for links."""
    first = cluster.nodes[0]
    calls, links = (Wire(port) for port in free_ports(2))
    options = ("--listen", f"{BEHIND}:{calls.port}", "--advertise", f"127.0.0.1:{calls.port}")
    options += ("--link-port", str(links.port))
    folder = first.pool.parent.with_name(name)
    node = Node(name, folder, cluster.authority, cluster.etcd.endpoints, options=options)
    node.start()
    cluster.nodes.append(node)
    return node, calls, links
