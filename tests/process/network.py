"""Hosts of a network of our own: namespaces, and a wire between them that takes its time.

The kernels here have no netem, so the wire is a program: each host has a TUN device, and what is
sent there comes out at the host that has the address, later.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_NET = 0x40000000
_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
_PACKET_BYTES = 65536
_DESTINATION = slice(16, 20)

_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """IPv4 hosts; every packet takes `delay_seconds`, and at most so many bytes pass in one."""

    def __init__(self, delay_seconds: float, bytes_per_second: float) -> None:
        self._delay_seconds = delay_seconds
        self._bytes_per_second = bytes_per_second
        self._hosts: list[str] = []
        self._devices: dict[bytes, int] = {}
        self._ending = threading.Event()
        self._wire = threading.Thread(target=self._carry)

    def add_host(self, address: str) -> str:
        """A host of one address; the path of its namespace."""
        name = f"mmsnap-{os.getpid()}-{address}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._hosts.append(name)
        path = f"/run/netns/{name}"
        opener = threading.Thread(target=self._open_device, args=(path, address))
        opener.start()
        opener.join()
        inside = ["nsenter", f"--net={path}", "ip"]
        for words in (
            ["link", "set", "lo", "up"],
            ["addr", "add", f"{address}/8", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
        ):
            subprocess.run([*inside, *words], check=True)
        return path

    def start(self) -> None:
        self._wire.start()

    def close(self) -> None:
        self._ending.set()
        if self._wire.ident is not None:
            self._wire.join()
        for device in self._devices.values():
            os.close(device)
        for name in self._hosts:
            subprocess.run(["ip", "netns", "delete", name], check=True)

    def _open_device(self, namespace: str, address: str) -> None:
        # A thread of its own: it changes into the namespace, and ends there.
        handle = os.open(namespace, os.O_RDONLY)
        assert _libc.setns(handle, _NEW_NET) == 0, os.strerror(ctypes.get_errno())
        os.close(handle)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"eth0", _TUN_WITHOUT_HEADER))
        self._devices[socket.inet_aton(address)] = device

    def _carry(self) -> None:
        under_way: deque[tuple[float, bytes]] = deque()
        free_at = 0.0
        while not self._ending.is_set():
            wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else 0.1
            ready, _, _ = select.select(list(self._devices.values()), [], [], min(wait, 0.1))
            for device in ready:
                packet = os.read(device, _PACKET_BYTES)
                now = time.monotonic()
                free_at = max(free_at, now) + len(packet) / self._bytes_per_second
                under_way.append((free_at + self._delay_seconds, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, packet = under_way.popleft()
                device_of_host = self._devices.get(packet[_DESTINATION])
                if device_of_host is not None:
                    os.write(device_of_host, packet)


@contextmanager
def network(
    *addresses: str, delay_seconds: float = 0.0, bytes_per_second: float = 1e8
) -> Iterator[list[str]]:
    """The namespaces of hosts with these addresses, connected."""
    made = Network(delay_seconds, bytes_per_second)
    try:
        hosts = [made.add_host(address) for address in addresses]
        made.start()
        yield hosts
    finally:
        made.close()
