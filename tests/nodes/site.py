"""Several nodes on this machine: real services, a real etcd, real certificates."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import trustme

import mmsnap
from tests.etcd_cluster import EtcdCluster, etcd_cluster
from tests.nodes.hosts import THIS_ONE, Host
from tests.ports import free_ports

MMSNAP = Path(sys.executable).with_name("mmsnap")
BANK = Path(__file__).with_name("bank_member.py")
_SECONDS = 40.0


class Node:
    """One service with its pool; `start` it."""

    def __init__(
        self,
        name: str,
        folder: Path,
        authority: trustme.CA,
        etcd: list[str],
        host: Host = THIS_ONE,
        options: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.host = host
        self._options = options
        self.pool = folder / "pool"
        self.pool.mkdir(parents=True)
        self.tls = folder / "tls"
        issue(self.tls, authority, name, address=host.address)
        self.roles = folder / "roles.toml"
        self.roles.write_text("[roles]\n")
        self.address = f"unix://{folder}/agent.sock"
        self.port, self.metrics_port = free_ports(2)
        self.environment = os.environ | {"MMSNAP_ADDRESS": self.address}
        self._etcd = etcd
        self._log = folder / "agent.log"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self, *more: str) -> None:
        """Starts the service, and returns when it answers."""
        self.launch(*more)
        self.await_answer()

    def launch(self, *more: str) -> None:
        """Starts the service."""
        words = [*self.host.inside, MMSNAP, "agent", "--pool", self.pool, "--node", self.name]
        words += ["--tls", self.tls, "--roles", self.roles]
        words += ["--listen", f"{self.host.address}:{self.port}"]
        words += ["--metrics", str(self.metrics_port), *self._options]
        for endpoint in self._etcd:
            words += ["--etcd", endpoint]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*words, *more], env=self.environment, stdout=log, stderr=log
            )

    def await_answer(self) -> None:
        """Returns when the service answers."""
        await_true(
            lambda: self.mmsnap("ps").returncode == 0 or self.process.poll() is not None,
            f"{self.name} serves",
        )
        assert self.process.poll() is None, self.log

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGSTOP, until `go_on`; returns when every thread stands still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def mmsnap(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MMSNAP, *words], env=self.environment, capture_output=True, text=True, timeout=90,
            check=False,
        )  # fmt: skip


class Bank:
    """Members of the group `bank` on the nodes, in turns."""

    def __init__(
        self, nodes: list[Node], size: int, tapped: Mapping[int, Path] | None = None
    ) -> None:
        """`tapped`: sockets that some members take their lines through."""
        self.nodes = nodes
        self._tapped = tapped or {}
        self._ports = free_ports(size)
        self._moved: dict[int, Node] = {}
        self.members: dict[str, subprocess.Popen[bytes]] = {}

    def open(self) -> None:
        """Starts all, and returns when they are members."""
        for number in range(len(self._ports)):
            self.start(number)
        await_true(lambda: self.attached() == set(self.members), "all are attached")

    def node_of(self, number: int) -> Node:
        return self._moved.get(number, self.nodes[number % len(self.nodes)])

    def move(self, number: int, node: Node) -> None:
        """Starts a member that does not run any more on another node."""
        self._moved[number] = node
        self.start(number)

    def start(self, number: int) -> None:
        node = self.node_of(number)
        words = ["run", "--group", "bank", "--member", f"m{number}", "--"]
        with (node.pool.parent / f"m{number}.log").open("ab") as log:
            self.members[f"m{number}"] = subprocess.Popen(
                [MMSNAP, *words, sys.executable, BANK, str(number), *map(str, self._ports)],
                env=node.environment | self._environment_of(number, node),
                stdout=log,
                stderr=log,
            )

    def _environment_of(self, number: int, node: Node) -> dict[str, str]:
        gap = self._gap_file(number)
        if not gap.exists():
            gap.write_bytes(bytes(8))
        tap = {"BANK_TAP": str(self._tapped[number])} if number in self._tapped else {}
        return {"BANK_GAP": str(gap), **tap}

    def _gap_file(self, number: int) -> Path:
        return self.nodes[0].pool.parent / f"gap-{number}"

    def longest_gap_seconds(self) -> float:
        """In which a member could do nothing, since this was last asked."""
        longest = 0.0
        for number in range(len(self.members)):
            gap = np.memmap(self._gap_file(number), np.float64, "r+")
            longest, gap[0] = max(longest, float(gap[0])), 0.0
        return longest

    def attached(self) -> set[str]:
        asked = next(node for node in self.nodes if node.process.poll() is None)
        told = asked.mmsnap("ps", "bank", "-o", "json")
        rows = json.loads(told.stdout) if told.returncode == 0 else []
        return {row["member"] for row in rows if row["state"] == "attached"}

    def pid_of(self, number: int) -> int:
        """The member's process; 0: it runs none."""
        launcher = self.members[f"m{number}"].pid
        children = Path(f"/proc/{launcher}/task/{launcher}/children")
        told = children.read_text().split() if children.exists() else []
        return int(told[0]) if told else 0

    def books(self, epoch: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """What each sent to each, and got from each, in a checkpoint: read from the pools."""
        sent, got = [], []
        for number in range(len(self.members)):
            pool = self.node_of(number).pool
            with mmsnap.open(pool, f"bank.m{number}", mode="r", at=f"@{epoch}") as app:
                sent.append(app.array("sent").copy())
                got.append(app.array("got").copy())
        return np.array(sent), np.array(got)

    def check(self, epoch: int) -> int:
        """Nobody has got what was not sent; returns what is under way."""
        sent, got = self.books(epoch)
        under_way = sent - got.T
        assert (under_way >= 0).all(), f"@{epoch}: got what was not sent:\n{under_way}"
        return int(under_way.sum())

    def all_run(self) -> bool:
        return all(member.poll() is None for member in self.members.values())

    def end(self) -> None:
        for member in self.members.values():
            if member.poll() is None:
                member.send_signal(signal.SIGTERM)
        for member in self.members.values():
            try:
                member.wait(20)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()


class Cluster:
    """Nodes n1, n2, ... and what they share; `start` them."""

    def __init__(
        self,
        folder: Path,
        etcd: EtcdCluster,
        size: int,
        hosts: Sequence[Host] = (),
        options: tuple[str, ...] = (),
        domain: str = "",
    ) -> None:
        self.etcd = etcd
        self.authority = trustme.CA()
        self.nodes = [
            Node(f"n{n}{domain}", folder / f"n{n}", self.authority, etcd.endpoints, host, options)
            for n, host in enumerate(hosts or [THIS_ONE] * size, start=1)
        ]

    def start(self) -> None:
        """Starts all at once."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.await_answer()

    def close(self) -> None:
        for node in self.nodes:
            if node.process.poll() not in (None, -signal.SIGKILL):
                print(f"{node.name} ended by itself: {node.log[-3000:]}")
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.kill()


@contextmanager
def cluster(
    size: int = 3,
    hosts: Sequence[Host] = (),
    options: tuple[str, ...] = (),
    domain: str = "",
) -> Iterator[Cluster]:
    """Nodes in memory, with an etcd of three.

    Args:
        hosts: three hosts for them, by default all on this machine.
        options: of `mmsnap agent`, for all.
        domain: what their names end in.
    """
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-cluster-", dir="/dev/shm"))
    with etcd_cluster(3, hosts) as etcd:
        made = Cluster(folder, etcd, size, hosts, options, domain)
        try:
            made.start()
            yield made
        finally:
            made.close()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def bank(nodes: list[Node], size: int, tapped: Mapping[int, Path] | None = None) -> Iterator[Bank]:
    """A bank at work."""
    made = Bank(nodes, size, tapped)
    try:
        made.open()
        yield made
    finally:
        made.end()


def issue(
    folder: Path,
    authority: trustme.CA,
    name: str,
    *,
    address: str = "127.0.0.1",
    not_after: datetime | None = None,
) -> None:
    """A certificate for a name on this machine, with the authority that vouches for it."""
    folder.mkdir(exist_ok=True)
    certificate = authority.issue_cert(address, "localhost", common_name=name, not_after=not_after)
    authority.cert_pem.write_to_path(folder / "ca.crt")
    certificate.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(p.bytes() for p in certificate.cert_chain_pems))


def await_true(condition: Callable[[], Any], what: str, seconds: float = _SECONDS) -> None:
    """Returns when the condition holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)
