"""Ports for services that a test starts, which nothing else on the machine takes meanwhile.

Port 0 would give one of those that the kernel also hands to whoever connects to something, and in
the second before a service listens there, another test's connection may well get it.
"""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

# Above what etcd, Kubernetes and Hazelcast listen at, below Kubernetes' node ports.
_FIRST, _LAST = 12_000, 29_999
_turns = itertools.count(os.getpid() * 97)  # two runs side by side begin elsewhere


def free_ports(count: int) -> list[int]:
    """Free ones, none of them given before to this process."""
    handed_out = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    assert int(handed_out.split()[0]) > _LAST, f"the kernel gives away {handed_out}"
    turns = itertools.islice(_turns, _LAST - _FIRST)
    found = (port for turn in turns if _is_free(port := _FIRST + turn % (_LAST - _FIRST)))
    return list(itertools.islice(found, count))


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True
