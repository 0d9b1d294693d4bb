"""A real etcd of one or three members, on loopback or on hosts of their own.

Its members can be killed and come back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree, which
from typing import Any

from tests.debian import require_packages
from tests.nodes.hosts import THIS_ONE, Host
from tests.ports import free_ports

_START_SECONDS = 30.0


class EtcdCluster:
    """Ends what it started."""

    def __init__(self, folder: Path, size: int, hosts: Sequence[Host] = ()) -> None:
        """`hosts`: one for each member; none: all of them on this machine."""
        ports = free_ports(2 * size)
        self._hosts = list(hosts) or [THIS_ONE] * size
        places = [f"http://{host.address}" for host in self._hosts] * 2
        urls = [f"{place}:{port}" for place, port in zip(places, ports, strict=True)]
        self.endpoints, self._peers = urls[:size], urls[size:]
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(size):
            self.start(number)
        for number in range(size):
            self.await_health(number)

    def start(self, number: int) -> None:
        """Starts a member, with what it had before if it is not new."""
        peers = ",".join(f"m{n}={peer}" for n, peer in enumerate(self._peers))
        with (self._folder / f"etcd-{number}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [
                    *self._hosts[number].inside,
                    *("etcd", "--name", f"m{number}"),
                    *("--data-dir", str(self._folder / f"m{number}")),
                    *("--listen-client-urls", self.endpoints[number]),
                    *("--advertise-client-urls", self.endpoints[number]),
                    *("--listen-peer-urls", self._peers[number]),
                    *("--initial-advertise-peer-urls", self._peers[number]),
                    *("--initial-cluster", peers, "--initial-cluster-state", "new"),
                    *("--unsafe-no-fsync",) * _knows_no_fsync(),
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int) -> None:
        """SIGKILL."""
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def stop(self, number: int) -> None:
        """SIGSTOP, until `go_on`; returns when every thread stands still."""
        process = self._processes[number]
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self, number: int) -> None:
        self._processes[number].send_signal(signal.SIGCONT)

    def leader(self) -> int:
        """The number of the member that leads."""
        for number in self._processes:
            told = self._hosts[number].call(lambda n=number: _status(self.endpoints[n]))
            if told.get("leader") and told["leader"] == told["header"]["member_id"]:
                return number
        raise AssertionError("no member leads")

    def await_health(self, number: int) -> None:
        """Returns when the member serves, with a leader."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._hosts[number].call(lambda: _is_healthy(self.endpoints[number])):
            assert time.monotonic() < deadline, f"etcd {number} does not come up"
            time.sleep(0.1)

    def close(self) -> None:
        for number in tuple(self._processes):
            self.kill(number)


@contextmanager
def etcd_cluster(size: int, hosts: Sequence[Host] = ()) -> Iterator[EtcdCluster]:
    """A cluster in memory; the test is skipped where etcd is not and may not be installed."""
    if which("etcd") is None:
        require_packages(["etcd-server"])
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-etcd-", dir="/dev/shm"))
    cluster = None
    try:
        cluster = EtcdCluster(folder, size, hosts)
        yield cluster
    finally:
        if cluster is not None:
            cluster.close()
        rmtree(folder, ignore_errors=True)


def _status(endpoint: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{endpoint}/v3/maintenance/status", b"{}")
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            told: dict[str, Any] = json.load(reply)
            return told
    except OSError:
        return {}


def _is_healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/health", timeout=5) as reply:
            return b'"true"' in reply.read()
    except OSError:
        return False


def _knows_no_fsync() -> bool:
    told = subprocess.run(["etcd", "--help"], capture_output=True, text=True, check=False)
    return "unsafe-no-fsync" in told.stdout + told.stderr
