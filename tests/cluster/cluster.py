"""The cluster as tests and the command line use it: up, down, and what is asked of it in between.

It holds nothing that is not also in the cluster's folder or in its control groups, so that another
process can go on where one was killed: `Cluster(NAME)` is the running one of that name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from fcntl import LOCK_EX, flock
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

from tests.cluster import binaries, control_plane, evidence, images, keys, worker
from tests.cluster.cgroups import Group
from tests.cluster.network import Switch
from tests.cluster.node import Node
from tests.cluster.waiting import eventually
from tests.debian import install_packages

FOLDER: Final = Path("/var/tmp/mmsnap-cluster")
_PACKAGES: Final = ("etcd-server", "iproute2", "iptables", "procps", "util-linux", "curl")
_MANIFESTS: Final = Path(__file__).with_name("manifests")
_MOST_NODES: Final = 3


class ClusterFailed(Exception):
    """Something did not come about in time; the message ends with where the logs are."""


def prepare() -> None:
    """Builds and fetches what is not there yet: minutes the first time, nothing after that.

    Raises:
        ClusterFailed: this is not root.
    """
    if os.geteuid() != 0:
        raise ClusterFailed("only root can make the namespaces of a cluster")
    install_packages(_PACKAGES)
    binaries.build()
    for make in (partial(images.pause, worker.PAUSE_IMAGE), images.debian, images.etcd):
        make()


class Cluster:
    """One cluster, by its name; others may run beside it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.work = FOLDER / name
        self._switch = Switch(name)
        self._group = Group(name)

    @property
    def nodes(self) -> list[Node]:
        """Those that are part of it, powered or not."""
        file = self.work / "nodes.json"
        numbers = json.loads(file.read_text()) if file.exists() else []
        return [self._node(number) for number in numbers]

    @property
    def node(self) -> Node:
        """The first, on which the control plane runs."""
        return self._node(1)

    @property
    def is_up(self) -> bool:
        return bool(self.nodes) and self.node.machine.is_on()

    def up(self, size: int = 1) -> None:
        """Brings it up anew; what an earlier one of that name left is removed first.

        Raises:
            ClusterFailed: it does not come up.
        """
        prepare()
        with self._locked(), self._explained():
            self._clear()
            self.work.mkdir(parents=True)
            keys.write_keys(self.work / "keys")
            control_plane.configure(self.work / "keys")
            self._switch.make(binaries.pause())
            self._power_on(self.node)
            self._start_control_plane()
            self._join([1])
            self.apply(_MANIFESTS / "base.yaml")
            if size > 1:
                self._add(range(2, size + 1))
            eventually(
                lambda: "default" in self.kubectl("get", "serviceaccounts", "-o", "name"),
                "the controllers' work",
            )

    def down(self) -> None:
        """Ends all its processes, and with them its namespaces and mounts; removes its folder."""
        with self._locked():
            self._clear()

    def grow(self, size: int) -> None:
        """Adds nodes until there are so many."""
        have = {node.number for node in self.nodes}
        with self._locked(), self._explained():
            self._add([number for number in range(1, size + 1) if number not in have])

    def remove_node(self, number: int) -> None:
        """Its power goes, its disk too, and Kubernetes is told that it does not come back."""
        node = self._node(number)
        node.machine.power_off()
        shutil.rmtree(node.machine.folder)
        self._write_nodes(each.number for each in self.nodes if each.number != number)
        self.kubectl("delete", "node", node.name)

    def power_off(self, number: int) -> None:
        """As if its plug was pulled: everything on it dies at once."""
        self._node(number).machine.power_off()

    def power_on(self, number: int) -> None:
        """It comes up with the disk it had, and is awaited."""
        node = self._node(number)
        with self._locked(), self._explained():
            self._power_on(node)
            if number == 1:
                self._start_control_plane()
            self._join([number])

    def cut_off(self, number: int) -> None:
        """Its wire is cut, and everything on it goes on."""
        self._switch.cut(number)

    def mend(self, number: int) -> None:
        """Its wire is whole again."""
        self._switch.mend(number)

    def restart(self, component: str, number: int = 1) -> None:
        """Kills one component (SIGKILL) and starts it again; returns when it answers."""
        node = self._node(number)
        with self._explained():
            node.machine.kill(component)
            node.start(component)
            self._await_api_server()
            eventually(lambda: node.answers(component), f"{component} on {node.name}")

    def kubectl(self, *words: str, stdin: str | None = None, seconds: float = 60) -> str:
        """What kubectl says, as the administrator.

        Raises:
            subprocess.CalledProcessError: it failed; a note holds what it said.
        """
        try:
            told = subprocess.run(
                self.kubectl_command(*words),
                input=stdin,
                capture_output=True,
                text=True,
                env=binaries.environment(),
                check=True,
                timeout=seconds,
            )
        except subprocess.CalledProcessError as error:
            error.add_note(f"kubectl {' '.join(words)}: {error.stderr.strip()[-2000:]}")
            raise
        return told.stdout

    def kubectl_command(self, *words: str) -> list[str]:
        """It runs on this machine's files, in the first node's network."""
        enter = ["nsenter", f"--net=/proc/{self.node.machine.init_pid}/ns/net"]
        kubectl = str(binaries.build()["kubernetes"] / "kubectl")
        own = [
            f"--kubeconfig={self.work}/keys/admin.kubeconfig",
            f"--cache-dir={self.work}/kubectl",
        ]
        return [*enter, kubectl, *own, *words]

    def get(self, *words: str) -> dict[str, Any]:
        """`kubectl get … -o json`, read."""
        told: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return told

    def apply(self, manifest: Path | str | Mapping[str, Any]) -> None:
        """A file, a text of YAML, or an object."""
        if isinstance(manifest, Path):
            manifest = manifest.read_text()
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        self.kubectl("apply", "-f", "-", stdin=text)

    def wait_for(
        self,
        what: str,
        condition: str = "condition=Ready",
        *,
        namespace: str = "default",
        seconds: float = 60,
    ) -> None:
        """Returns when an object (`pod/name`, `pod -l app=name`) is there and its condition met.

        The condition as for `kubectl wait --for`; with `delete` the object is not there.

        Raises:
            ClusterFailed: not within the time; the logs are gathered.
        """
        whole = ("wait", *what.split(), "-n", namespace, f"--timeout={seconds:.0f}s")
        with self._explained():
            for awaited in (condition,) if condition == "delete" else ("create", condition):
                self.kubectl(*whole, f"--for={awaited}", seconds=seconds + 10)

    def logs(self, pod: str, *words: str, namespace: str = "default") -> str:
        """What the pod's container wrote; more words as for kubectl."""
        return self.kubectl("logs", "-n", namespace, pod, *words)

    def load_image(self, tar: Path) -> None:
        """Gives every node the images in an archive, as `docker save` or buildah writes it."""
        powered = [node for node in self.nodes if node.machine.is_on()]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.load_image(tar), powered))
        record = self.work / "images.json"
        record.write_text(json.dumps(sorted({*self._images(), str(tar.resolve())})))

    def gather(self, folder: Path | None = None) -> Path:
        """Everything that tells what happened, in one folder."""
        if folder is None:
            stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
            folder = control_plane.CHECKOUT / "build/cluster-logs" / f"{self.name}-{stamp}"
        evidence.gather(self, folder)
        return folder

    def _images(self) -> list[str]:
        """The archives that every node was given, for those that come later."""
        record = self.work / "images.json"
        told: list[str] = json.loads(record.read_text()) if record.exists() else []
        return told

    def _node(self, number: int) -> Node:
        return Node(self.name, number, self.work)

    def _add(self, numbers: Sequence[int]) -> None:
        assert all(number <= _MOST_NODES for number in numbers), "there are keys for three"
        for number in numbers:
            self._power_on(self._node(number))
        self._join(numbers)

    def _power_on(self, node: Node) -> None:
        node.machine.power_on(binaries.pause())
        self._switch.plug_in(node.machine, node.number)
        self._write_nodes({each.number for each in self.nodes} | {node.number})

    def _join(self, numbers: Sequence[int]) -> None:
        began = time.time()
        for number in numbers:
            self._node(number).start_all()
        for name in [self._node(number).name for number in numbers]:
            eventually(partial(self._is_ready, name, began), f"{name} to be Ready")
        for tar, number in product(self._images(), numbers):
            self._node(number).load_image(Path(tar))

    def _is_ready(self, name: str, since: float) -> bool:
        """What was said of it before it started does not count."""
        told = self.get("node", name)["status"]["conditions"]
        ready = next(each for each in told if each["type"] == "Ready")
        said = datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp()
        return ready["status"] == "True" and said >= int(since)

    def _start_control_plane(self) -> None:
        for component in self.node.control_plane():
            self.node.start(component)
            if component == "apiserver":
                self._await_api_server()

    def _await_api_server(self) -> None:
        eventually(lambda: self.kubectl("get", "--raw", "/readyz") == "ok", "the API server")

    def _write_nodes(self, numbers: Iterable[int]) -> None:
        (self.work / "nodes.json").write_text(json.dumps(sorted(numbers)))

    def _clear(self) -> None:
        self._group.end()
        shutil.rmtree(self.work, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else changes it meanwhile; the lock's file goes when the cluster is gone."""
        place = FOLDER / f"{self.name}.lock"
        while True:
            FOLDER.mkdir(parents=True, exist_ok=True)
            with place.open("w") as file:
                flock(file, LOCK_EX)
                if not place.exists() or not os.path.samestat(
                    os.fstat(file.fileno()), place.stat()
                ):
                    continue  # its last holder took it away
                yield
                if not self.work.exists():
                    place.unlink()
            return

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Whatever fails in it is told with the logs."""
        try:
            yield
        except (TimeoutError, RuntimeError, subprocess.SubprocessError) as error:
            folder = self.gather()
            notes = "\n".join(getattr(error, "__notes__", []))
            raise ClusterFailed(
                f"{error}\n{notes}\n{evidence.last_errors(folder)}\nlogs: {folder}"
            ) from error
