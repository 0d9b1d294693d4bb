"""Keeping a program's connections still from before a cut until after it.

While one end is dumped, the other end's kernel would go on resending and acknowledging, and a
connection restored from two different instants is broken. So every packet of these connections is
dropped, in both directions, until all members have been dumped: TCP sends them again afterwards.
The rules are one nftables table of our own name; deleting it undoes everything.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable

from mmsnap.errors import MmsnapError
from mmsnap.process.connections import Connection
from mmsnap.process.criu import Criu

_SECONDS = 10


class NetworkLock:
    """The lock of one program, in the network namespace of this process."""

    def __init__(self, criu: Criu, name: str) -> None:
        self._nft = [*criu.nft.command, "-f", "-"]
        # A dot may be in the name of a table, a hyphen not in every nft; labels have no underscore.
        self._table = f"inet mmsnap_{name.replace('-', '_')}"
        self.held = False

    def hold(self, connections: Iterable[Connection]) -> None:
        """Drops every packet of these connections, and of no others."""
        ruleset = _ruleset(self._table, set(connections))
        if not ruleset and not self.held:
            return
        self._apply(f"{self._removal}{ruleset}")
        self.held = bool(ruleset)

    def release(self) -> None:
        """Lets packets pass again; nothing happens when nothing is held."""
        if self.held:
            self.remove_leftover()

    def remove_leftover(self) -> None:
        """Removes what a predecessor of the same name may have left."""
        self._apply(self._removal)
        self.held = False

    @property
    def _removal(self) -> str:
        # Declared first, so that deleting it does not fail where it is not.
        return f"table {self._table}\ndelete table {self._table}\n"

    def _apply(self, rules: str) -> None:
        try:
            subprocess.run(
                self._nft,
                input=rules,
                text=True,
                check=True,
                capture_output=True,
                timeout=_SECONDS,
                start_new_session=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            told = str(error.stderr or error).strip().splitlines()
            raise MmsnapError(
                f"the network could not be kept still: nft: {told[0] if told else error}",
                subject=self._table,
                hint="the kernel needs nf_tables; `mmsnap doctor` tells what it has",
            ) from error


def _ruleset(table: str, connections: set[Connection]) -> str:
    sets, rules = [], []
    for version, family, word in ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")):
        chosen = {c for c in connections if _version(c) == version}
        if not chosen:
            continue
        elements = ", ".join(
            f"{c.local.address} . {c.local.port} . {c.remote.address} . {c.remote.port}"
            for c in sorted(chosen | {c.reversed for c in chosen})
        )
        kind = f"{word} . inet_service . {word} . inet_service"
        sets.append(f"  set still{version} {{ type {kind}; elements = {{ {elements} }} }}\n")
        ends = f"{family} saddr . tcp sport . {family} daddr . tcp dport"
        rules.append(f"    {ends} @still{version} drop\n")
    if not rules:
        return ""
    chains = "".join(
        f"  chain {hook} {{\n    type filter hook {hook} priority -400; policy accept;\n"
        f"{''.join(rules)}  }}\n"
        for hook in ("input", "output")
    )
    return f"table {table} {{\n{''.join(sets)}{chains}}}\n"


def _version(connection: Connection) -> int:
    return ipaddress.ip_address(connection.local.address).version
