"""A real etcd of one or three members on loopback, whose members can be killed and come back."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree, which

from tests.debian import require_packages

_START_SECONDS = 30.0


class EtcdCluster:
    """Ends what it started."""

    def __init__(self, folder: Path, size: int) -> None:
        ports = _free_ports(2 * size)
        self.endpoints = [f"http://127.0.0.1:{port}" for port in ports[:size]]
        self._peers = [f"http://127.0.0.1:{port}" for port in ports[size:]]
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

    def await_health(self, number: int) -> None:
        """Returns when the member serves, with a leader."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.endpoints[number]}/health", timeout=5) as reply:
                    if b'"true"' in reply.read():
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"etcd {number} does not come up"
            time.sleep(0.1)

    def close(self) -> None:
        for number in tuple(self._processes):
            self.kill(number)


@contextmanager
def etcd_cluster(size: int) -> Iterator[EtcdCluster]:
    """A cluster in memory; the test is skipped where etcd is not and may not be installed."""
    if which("etcd") is None:
        require_packages(["etcd-server"])
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-etcd-", dir="/dev/shm"))
    cluster = None
    try:
        cluster = EtcdCluster(folder, size)
        yield cluster
    finally:
        if cluster is not None:
            cluster.close()
        rmtree(folder, ignore_errors=True)


def _knows_no_fsync() -> bool:
    told = subprocess.run(["etcd", "--help"], capture_output=True, text=True, check=False)
    return "unsafe-no-fsync" in told.stdout + told.stderr


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
