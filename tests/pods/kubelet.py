"""A node service with pods, asked as a kubelet asks, and containers made of real namespaces."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from mmsnap.pods import csi_pb2 as csi
from mmsnap.pods import csi_pb2_grpc, mounts
from mmsnap.pods.driver import DRIVER
from mmsnap.process.freezer import Freezer, make_freezer
from mmsnap.rpc.v1 import mmsnap_pb2_grpc
from mmsnap_sdk.client import Client
from tests.pods.programs import BUILD

_SERVICE: Final = """
import asyncio, sys
from pathlib import Path
from mmsnap.node.agent import Agent
from mmsnap.node.logs import log_to_stderr
from mmsnap.pods.serving import NodeOfPods, serve_pods
pool, address, kubelet, programs = sys.argv[1:]
log_to_stderr(as_json=False)
node = NodeOfPods("n1", Path(kubelet), Path(programs))
asyncio.run(serve_pods(Agent(Path(pool), address), node))
"""
# As its container sees it: its volume at /run/mmsnap, process ids of its own, a user of its own.
_CONTAINER: Final = """
set -e
echo 0 > {procs}
mkdir -p /run/mmsnap
exec unshare --mount --pid --fork --kill-child sh -c '
mount --make-rprivate / && mount --rbind {target} /run/mmsnap && mount -t proc proc /proc
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs --bounding-set -all \
    {python} {program}'
"""
# A program that knows nothing: mmsnap-init is number 1, and the network is its own.
_PROGRAM: Final = """
set -e
echo 0 > {procs}
exec unshare --mount --pid --net --ipc --fork --kill-child setsid sh -c '
mount --make-rprivate / && mount --rbind {target} /run/mmsnap && mount -t proc proc /proc
ip link set lo up && cd /
for hidden in {hidden}; do mount -t tmpfs none $hidden; done
exec {init} -- "$@"' container
"""
INIT: Final = BUILD / "init" / "mmsnap-init"
ENTER: Final = BUILD / "enter" / "mmsnap-enter"
# An image has not what the node has: Python, its libraries, and this checkout.
_HIDDEN: Final = (sys.prefix, f"{sys.base_prefix}/lib", str(BUILD.parent.parent))
_APPLICATION: Final = Path(__file__).with_name("application.py")
_PATIENCE_SECONDS: Final = 20.0


@dataclass
class Container:
    """A running program of a pod; `ask` it what `application.py` knows."""

    process: subprocess.Popen[str]

    def ask(self, *words: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the container ended: {self.process.wait()}"
        return json.loads(line)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class PodOfKubelet:
    """What a kubelet knows of a pod."""

    name: str
    namespace: str = "demo"
    workload: str = "hz"
    containers: str = "main"
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def context(self) -> dict[str, str]:
        return {
            "csi.storage.k8s.io/pod.name": self.name,
            "csi.storage.k8s.io/pod.namespace": self.namespace,
            "csi.storage.k8s.io/pod.uid": self.uid,
            "csi.storage.k8s.io/ephemeral": "true",
            "workload": self.workload,
            "containers": self.containers,
        }


class Kubelet:
    """One node: a service that can be killed, and pods that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = folder / "pool"
        self.pool.mkdir()
        self.errors = folder / "errors"
        self.address = f"unix://{folder / 'run' / 'agent.sock'}"
        self.client = Client(self.address)
        shutil.copy2(INIT, folder / "init")
        self._freezers: list[Freezer] = []
        self._containers: list[Container] = []
        self.start()

    # ---- the service ----

    def start(self) -> None:
        with self.errors.open("a") as errors:
            self.service = subprocess.Popen(
                [
                    *(sys.executable, "-c", _SERVICE),
                    *(self.pool, self.address, self.folder / "kubelet", ENTER.parent),
                ],
                stderr=errors,
            )
        self.until(lambda: self._registration.exists(), "the driver registers")

    def kill_service(self) -> None:
        self.service.kill()
        self.service.wait()
        self._registration.unlink(missing_ok=True)

    @property
    def _registration(self) -> Path:
        return self.folder / "kubelet" / "plugins_registry" / f"{DRIVER}-reg.sock"

    # ---- pods ----

    def target(self, pod: PodOfKubelet) -> Path:
        return self.folder / "kubelet" / "pods" / pod.uid / "volumes" / "mmsnap" / "mount"

    def publish(self, pod: PodOfKubelet, context: dict[str, str] | None = None) -> None:
        request = csi.NodePublishVolumeRequest(
            volume_id=f"csi-{pod.uid}",
            target_path=str(self.target(pod)),
            volume_context=pod.context() if context is None else context,
        )
        self._ask("NodePublishVolume", request)

    def unpublish(self, pod: PodOfKubelet) -> None:
        request = csi.NodeUnpublishVolumeRequest(
            volume_id=f"csi-{pod.uid}", target_path=str(self.target(pod))
        )
        self._ask("NodeUnpublishVolume", request)

    def run(self, pod: PodOfKubelet, user: int = 1234, container: str = "") -> Container:
        """Starts application.py in it."""
        freezer = make_freezer(f"test-pod{pod.uid}")
        self._freezers.append(freezer)
        member = f"{pod.name}--{container}" if container else pod.name
        script = _CONTAINER.format(
            procs=freezer.procs,
            target=self.target(pod),
            user=user,
            python=sys.executable,
            program=_APPLICATION,
        )
        group = f"{pod.namespace}--{pod.workload}"
        environment = {
            "PATH": os.environ["PATH"],
            "MMSNAP_ADDRESS": "unix:///run/mmsnap/agent.sock",
            "MMSNAP_GROUP": group,
            "MMSNAP_MEMBER": member,
        }
        process = subprocess.Popen(
            ["sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        made = Container(process)
        self._containers.append(made)
        return made

    def run_program(
        self, pod: PodOfKubelet, *command: str, with_python: bool = False
    ) -> subprocess.Popen[str]:
        """Starts a program in it that is a member as a whole, unless it attaches by itself."""
        freezer = make_freezer(f"test-pod{pod.uid}")
        self._freezers.append(freezer)
        places = {"procs": freezer.procs, "target": self.target(pod), "init": self.folder / "init"}
        script = _PROGRAM.format(**places, hidden="" if with_python else " ".join(_HIDDEN))
        environment = {
            "PATH": os.environ["PATH"],
            "MMSNAP_ADDRESS": "unix:///run/mmsnap/agent.sock",
            "MMSNAP_GROUP": f"{pod.namespace}--{pod.workload}",
            "MMSNAP_MEMBER": pod.name,
            "MMSNAP_ENGINE": "process",
        }
        process = subprocess.Popen(
            ["sh", "-c", script.rstrip() + ' "$@"', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "container-errors").open("a"),
            text=True,
            env=environment,
            start_new_session=True,
        )
        self._containers.append(Container(process))
        return process

    def end(self, program: subprocess.Popen[str]) -> None:
        """As a runtime ends a container: without a word."""
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()

    def agent_of(self, pod: PodOfKubelet) -> mmsnap_pb2_grpc.AgentStub:
        """The service, through the pod's door."""
        channel = grpc.insecure_channel(f"unix:{self.pool / 'pods' / pod.uid / 'agent.sock'}")
        return mmsnap_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]

    # ---- looking ----

    def used_bytes(self) -> int:
        """What regions take in the pool."""
        files = (path for path in (self.pool / "regions").rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files)

    def until(self, true: Callable[[], bool], what: str, every: float = 0.05) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not true():
            assert time.monotonic() < deadline, f"not within its time: {what}\n{self.said()}"
            time.sleep(every)

    def said(self) -> str:
        return self.errors.read_text()

    def _ask(self, method: str, request: Any) -> None:
        socket = self.folder / "kubelet" / "plugins" / DRIVER / "csi.sock"
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            stub = csi_pb2_grpc.NodeStub(channel)  # type: ignore[no-untyped-call]
            getattr(stub, method)(request, timeout=_PATIENCE_SECONDS, wait_for_ready=True)

    def close(self) -> None:
        for container in self._containers:
            if container.process.poll() is None:
                container.kill()
        self.client.close()
        self.service.terminate()
        self.service.wait(_PATIENCE_SECONDS)
        for freezer in self._freezers:
            # Its shim's own folder in it goes a moment after its processes.
            self.until(lambda path=freezer.path: _removed(path), "its processes end")  # type: ignore[misc]
        mounts.unmount(self.folder)
        shutil.rmtree(self.folder)


def _removed(cgroup: Path) -> bool:
    with suppress(OSError):
        cgroup.rmdir()
    return not cgroup.exists()


@contextmanager
def kubelet() -> Iterator[Kubelet]:
    made = Kubelet(Path(tempfile.mkdtemp(prefix="mmsnap-test-", dir="/dev/shm")))
    try:
        yield made
    finally:
        made.close()
