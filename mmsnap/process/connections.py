"""TCP connections of a program: as the kernel has them now, and as an image tells of them.

A connection is inner when both of its ends are in the group, and outer otherwise; that is asked of
all members' connections together. How inner ones are kept and outer ones reset is not here.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mmsnap.process import criu_images_pb2 as pb

LISTENING: Final = 10  # TCP_LISTEN in the kernel's numbering
CLOSED: Final = 7  # TCP_CLOSE
_TIME_WAIT: Final = 6
_SYN_RECEIVED: Final = 3
_TCP: Final = socket.IPPROTO_TCP
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True, order=True)
class End:
    """An address and a port; an IPv4 address in IPv6's clothes is taken for what it is."""

    address: str
    port: int

    def moved(self, addresses: Mapping[str, str]) -> End:
        """The same where addresses are others; those that the map does not have stay."""
        return End(addresses.get(self.address, self.address), self.port)


@dataclass(frozen=True, slots=True, order=True)
class Connection:
    """One end's view of a connection."""

    local: End
    remote: End

    def moved(self, local: Mapping[str, str], remote: Mapping[str, str]) -> Connection:
        """The same where the addresses of its ends are others; what a map does not have stays."""
        return Connection(self.local.moved(local), self.remote.moved(remote))

    @property
    def reversed(self) -> Connection:
        """The other end's view."""
        return Connection(self.remote, self.local)


@dataclass(frozen=True, slots=True)
class Socket:
    """A TCP socket that a process has open; `remote.port` is 0 when it listens."""

    inode: int
    state: int
    connection: Connection


def split_inner(
    mine: Iterable[Connection], everybody: Iterable[Connection]
) -> tuple[set[Connection], set[Connection]]:
    """(inner, outer) of `mine`: inner is what somebody in the group holds the other end of."""
    all_ends = set(everybody)
    held = set(mine)
    inner = {connection for connection in held if connection.reversed in all_ends}
    return inner, held - inner


def open_sockets(pids: Iterable[int]) -> list[Socket]:
    """The TCP sockets that these processes hold, from the network namespace of the first."""
    pids = list(pids)
    if not pids:
        return []
    inodes = {inode for pid in pids for _, inode in socket_fds(pid)}
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pids[0]}/net/{table}").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):  # no such protocol, or no process
            continue
        for line in lines:
            fields = line.split()
            inode, state = int(fields[9]), int(fields[3], 16)
            if inode in inodes and state not in (_TIME_WAIT, _SYN_RECEIVED):
                ends = Connection(_kernel_end(fields[1]), _kernel_end(fields[2]))
                found.append(Socket(inode, state, ends))
    return found


def socket_fds(pid: int) -> list[tuple[int, int]]:
    """(file descriptor, inode) of the sockets of a process; none when it is gone."""
    found = []
    try:
        fds = list(Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []
    for fd in fds:
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink()))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if match:
            found.append((int(fd.name), int(match[1])))
    return found


def image_connection(entry: pb.FileEntry) -> Connection | None:
    """The connection of an entry of files.img; None when it is no connected TCP socket."""
    inet = entry.inet
    if not entry.HasField("inet") or inet.protocol != _TCP or not inet.destination_port:
        return None
    return Connection(
        End(image_address(inet.source_address), inet.source_port),
        End(image_address(inet.destination_address), inet.destination_port),
    )


def image_address(words: Iterable[int]) -> str:
    """An address as images have it."""
    return _text(b"".join(struct.pack("<I", word) for word in words))


def image_words(address: str, like: Collection[int]) -> list[int]:
    """An address for an image, in the clothes of the one that was there."""
    raw = ipaddress.ip_address(address).packed
    if len(like) == 4 and len(raw) == 4:
        raw = ipaddress.IPv6Address(f"::ffff:{address}").packed
    return [word for (word,) in struct.iter_unpack("<I", raw)]


def store(file: Path, connections: Iterable[Connection]) -> None:
    """Writes them down for the other members of the group."""
    partial = file.with_suffix(".new")
    partial.write_text(json.dumps(rows(connections)))
    partial.rename(file)


def load(file: Path) -> set[Connection]:
    """What `store` wrote; nothing when there is no such file."""
    if not file.exists():
        return set()
    return from_rows(json.loads(file.read_text()))


def rows(connections: Iterable[Connection]) -> list[list[str | int]]:
    """As JSON can have them."""
    return [
        [c.local.address, c.local.port, c.remote.address, c.remote.port]
        for c in sorted(connections)
    ]


def from_rows(told: Iterable[Sequence[Any]]) -> set[Connection]:
    """What `rows` made."""
    return {Connection(End(a, p), End(b, q)) for a, p, b, q in told}


def _kernel_end(text: str) -> End:
    address, _, port = text.partition(":")
    raw = bytes.fromhex(address)
    words = struct.unpack(f">{len(raw) // 4}I", raw)
    return End(_text(struct.pack(f"<{len(words)}I", *words)), int(port, 16))


def _text(raw: bytes) -> str:
    if len(raw) == 16:
        six = ipaddress.IPv6Address(raw)
        return str(six.ipv4_mapped) if six in _MAPPED else str(six)
    return str(ipaddress.IPv4Address(raw[:4]))
