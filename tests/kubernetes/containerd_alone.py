"""A containerd without a kubelet: what NRI does is seen by calling it as a kubelet would.

It lives in a mount, network and process namespace of its own, so that ending the first process
there ends all of it. Pods share that network, so that none has to be set up.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import grpc

from tests.cluster import binaries, images

cri, services = grpc.protos_and_services("tests/kubernetes/cri.proto")

_START_SECONDS = 30.0
_NODE_NETWORK = 2
_IMAGE = "localhost/program:1"

_CONFIG = """\
version = 3
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.nri.v1.nri"]
  socket_path = "{folder}/nri.sock"
  plugin_path = "{folder}/nri-plugins"
  plugin_config_path = "{folder}/nri-config"
  [plugins."io.containerd.nri.v1.nri".default_validator]
    enable = {validator}
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "{runc}/runc"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "localhost/program:1"
"""


class Containerd:
    """Ends what it started, containers included."""

    def __init__(self, folder: Path, *, validator: bool = False) -> None:
        """`validator`: containerd checks that the plugins are there which a pod requires."""
        programs = binaries.build()
        self._folder = folder
        self._programs = programs["containerd"]
        self._cgroup = f"/mmsnap-{uuid.uuid4().hex[:8]}"
        self.nri_socket = folder / "nri.sock"
        (folder / "config.toml").write_text(
            _CONFIG.format(folder=folder, runc=programs["runc"], validator=str(validator).lower())
        )
        alone = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
        # bash reaps what is orphaned there, the shims of containers that is.
        self._first = subprocess.Popen(
            [*alone, "bash", "-c", "mount -t tmpfs shims /run/containerd; sleep infinity; :"]
        )
        Path("/run/containerd").mkdir(exist_ok=True)
        self.start()
        archive = self._make_image()
        address = f"--address={folder}/containerd.sock"
        ctr = self._programs / "ctr"
        self._inside(str(ctr), address, "--namespace=k8s.io", "images", "import", str(archive))

    def _make_image(self) -> Path:
        """Of one program, which waits; it also stands where `mmsnap-init` is mounted."""
        root, volume = self._folder / "image", self._folder / "memverge"
        for place in root / "program", volume / "mmsnap-init":
            place.parent.mkdir()
            shutil.copy(binaries.pause(), place)
        archive = self._folder / "image.tar"
        images.archive(
            archive, _IMAGE, root, Entrypoint=["/program"], command=["from", "the image"]
        )
        return archive

    def start(self) -> None:
        """Starts the daemon, and returns when it answers."""
        with (self._folder / "containerd.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self._entered(), str(self._programs / "containerd"),
                 "-c", str(self._folder / "config.toml")],
                stdout=log, stderr=log,
                env=os.environ | {"PATH": f"{self._programs}:{os.environ['PATH']}"},
            )  # fmt: skip
        self._channel = grpc.insecure_channel(f"unix:{self._folder}/containerd.sock")
        self._runtime = services.RuntimeServiceStub(self._channel)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._runtime.Version(cri.VersionRequest(), timeout=1)
                return
            except grpc.RpcError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def kill(self) -> None:
        """Kills the daemon; containers run on."""
        # What was started is nsenter, which waits for the daemon that it has put there.
        os.kill(_children(self._daemon.pid)[0], signal.SIGKILL)
        self._daemon.wait()
        self._channel.close()

    def run_pod(self, name: str, annotations: dict[str, str]) -> Pod:
        return Pod(self, name, annotations)

    def close(self) -> None:
        if self._daemon.poll() is None:
            self.kill()
        self._first.send_signal(signal.SIGKILL)
        self._first.wait()
        for controller in Path("/sys/fs/cgroup").glob(f"**{self._cgroup}"):
            for folder in sorted(controller.glob("**/"), reverse=True):
                _remove_cgroup(folder)

    def _entered(self) -> list[str]:
        inside = str(_children(self._first.pid)[0])
        return ["nsenter", "-t", inside, "--mount", "--net", "--pid"]

    def _inside(self, *command: str) -> bytes:
        return subprocess.run([*self._entered(), *command], check=True, stdout=-1).stdout


class Pod:
    """A pod without a kubelet."""

    def __init__(self, containerd: Containerd, name: str, annotations: dict[str, str]) -> None:
        self._containerd = containerd
        self._config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=uuid.uuid4().hex, namespace="demo"),
            log_directory=str(containerd._folder / "logs"),
            annotations=annotations,
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent=containerd._cgroup,
                security_context=cri.LinuxSandboxSecurityContext(
                    namespace_options=cri.NamespaceOption(network=_NODE_NETWORK)
                ),
            ),
        )
        answer = containerd._runtime.RunPodSandbox(cri.RunPodSandboxRequest(config=self._config))
        self.id = answer.pod_sandbox_id

    def run(
        self,
        name: str,
        args: Sequence[str] = (),
        *,
        command: Sequence[str] = (),
        init_folder: bool = True,
    ) -> tuple[list[str], float]:
        """Runs a container of the image, with another command or other arguments if they are given.

        Returns:
            The arguments of its process, and how long its creation took, in seconds.
        """
        volume = self._containerd._folder / "memverge"
        mount = cri.Mount(container_path="/opt/memverge", host_path=str(volume))
        runtime = self._containerd._runtime
        began = time.monotonic()
        created = runtime.CreateContainer(
            cri.CreateContainerRequest(
                pod_sandbox_id=self.id,
                sandbox_config=self._config,
                config=cri.ContainerConfig(
                    metadata=cri.ContainerMetadata(name=name),
                    image=cri.ImageSpec(image=_IMAGE),
                    command=command,
                    args=args,
                    mounts=[mount] * init_folder,
                ),
            )
        )
        creation_seconds = time.monotonic() - began
        runtime.StartContainer(cri.ContainerRequest(container_id=created.container_id))
        status = runtime.ContainerStatus(
            cri.ContainerStatusRequest(container_id=created.container_id, verbose=True)
        )
        pid = json.loads(status.info["info"])["pid"]
        return self._arguments(pid), creation_seconds

    def _arguments(self, pid: int) -> list[str]:
        """Of the process, once it is what it was started for: at first it is still runc."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            line = self._containerd._inside("cat", f"/proc/{pid}/cmdline")
            arguments = line.decode().rstrip("\0").split("\0")
            if not arguments[0].endswith("runc") or time.monotonic() > deadline:
                return arguments


def _children(pid: int) -> list[int]:
    """The children of a process that is about to have one."""
    deadline = time.monotonic() + _START_SECONDS
    while not (told := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int(child) for child in told]


def _remove_cgroup(folder: Path) -> None:
    """Once the last process in it has ended."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            folder.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
