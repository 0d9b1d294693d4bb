"""Where a program's network addresses went: the maps by which all members' images are rewritten.

A connection is restored only where both of its ends have the addresses that its images tell. A
member that comes back in another network namespace (a new pod, a clone) has others; so every member
writes down what it has now, and each works out the same maps for the whole group from what all had
at the cut. What the programs keep in their own memory about addresses is theirs, and stays.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from mmsnap.errors import MmsnapError

_FILE: Final = "addresses.json"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An IPv4 or IPv6 address of a network interface."""

    interface: str
    address: str

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.address).version


def present() -> tuple[Address, ...]:
    """What this process's network namespace has, loopback aside: that is the same everywhere."""
    found = [
        Address(interface, row.address.partition("%")[0])
        for interface, rows in psutil.net_if_addrs().items()
        for row in rows
        if row.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return tuple(sorted(a for a in found if not ipaddress.ip_address(a.address).is_loopback))


def store(folder: Path, addresses: Iterable[Address]) -> None:
    """Writes down where a member is now, for the others of its group."""
    partial = folder / f"{_FILE}.new"
    partial.write_text(json.dumps([[a.interface, a.address] for a in addresses]))
    partial.rename(folder / _FILE)


def forget(folder: Path) -> None:
    """The member is nowhere any more."""
    (folder / _FILE).unlink(missing_ok=True)


def load(folder: Path) -> tuple[Address, ...]:
    """What `store` wrote; nothing when the member was never here."""
    file = folder / _FILE
    if not file.exists():
        return ()
    return tuple(Address(*row) for row in json.loads(file.read_text()))


def moves(then: Collection[Address], now: Collection[Address]) -> dict[str, str]:
    """Which address takes the place of each: itself, where it still is here.

    That of the same interface, if there is one; else the only new one there is.

    Raises:
        MmsnapError: none does, or it can not be told which.
    """
    here = {a.address for a in now}
    moved = {}
    for old in then:
        if old.address in here:
            moved[old.address] = old.address
            continue
        there = {a.address for a in then}
        new = [a for a in now if a.version == old.version and a.address not in there]
        chosen = [a for a in new if a.interface == old.interface] or new
        if len(chosen) != 1:
            what = " or ".join(a.address for a in chosen)
            raise MmsnapError(
                f"its address {old.address} of {old.interface} is not here, and "
                + (f"it is not clear whether {what} takes its place" if what else "no other is")
            )
        moved[old.address] = chosen[0].address
    return moved


def agreed(of_members: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Where the addresses of a group went that did not go to several."""
    went: dict[str, set[str]] = {}
    for moved in of_members:
        for old, new in moved.items():
            went.setdefault(old, set()).add(new)
    return {old: new for old, (new, *more) in went.items() if not more}
