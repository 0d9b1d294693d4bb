"""The shims of this node's containers: one is started whenever a container's mmsnap-init calls.

Each is a process of its own and goes on without the service. So that it outlives the service's
container too, it is moved out of its cgroups.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from mmsnap.node.peers import Peer, peer_of
from mmsnap.pods.pod import Pod
from mmsnap.pods.processes import is_in_pod
from mmsnap.pods.volume import INIT_SOCKET, MOUNT_PATH, Volumes

log = logging.getLogger(__name__)

MODULE: Final = "mmsnap.shim.in_pod"
CGROUP: Final = "mmsnap-shims"
_CGROUPS: Final = Path("/sys/fs/cgroup")
_BACKLOG: Final = 8
# A shim that ends sooner than this has failed, and the next one waits as long.
_SHORT_LIFE_SECONDS: Final = 5.0


class Shims:
    """Those of one pod: the socket that its containers call at. Of one event loop."""

    def __init__(self, volumes: Volumes, pod: Pod) -> None:
        """Listen; OSError."""
        self._volumes = volumes
        self._pod = pod
        self._path = volumes.folder(pod) / INIT_SOCKET
        self._started: dict[subprocess.Popen[bytes], float] = {}
        self._not_before = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._path.unlink(missing_ok=True)
        self._socket.bind(os.fspath(self._path))
        self._path.chmod(0o666)
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Nobody is let in any more; the shims go on."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        try:
            line, _ = self._socket.accept()
        except OSError as error:
            log.warning("a container of pod %s was not heard: %s", self._pod, error)
            return
        with line:
            peer = peer_of(line)
            self._look_at_ended()
            if self._may_start(peer):
                self._start(line)

    def _may_start(self, peer: Peer) -> bool:
        if not is_in_pod(peer.pid, self._pod.uid):
            log.warning("process %d is no container of pod %s", peer.pid, self._pod)
            return False
        running = len(self._started)
        return running < len(self._pod.containers) and time.monotonic() >= self._not_before

    def _look_at_ended(self) -> None:
        now = time.monotonic()
        for process, begun in tuple(self._started.items()):
            if process.poll() is not None:
                del self._started[process]
                if process.returncode and now - begun < _SHORT_LIFE_SECONDS:
                    self._not_before = now + _SHORT_LIFE_SECONDS

    def _start(self, line: socket.socket) -> None:
        words = (str(line.fileno()), str(self._volumes.pool), str(MOUNT_PATH), self._pod.group)
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *words],
            pass_fds=(line.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Not the service's own: its container would not end while a shim holds them.
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MMSNAP_POD": self._pod.uid},
        )
        self._started[process] = time.monotonic()
        threading.Thread(target=_pass_on, args=(process, self._pod), daemon=True).start()
        _move_out(process.pid)
        log.info("a shim for pod %s: process %d", self._pod, process.pid)


def is_shim_of(pid: int, uid: str) -> bool:
    """Whether a process is a shim of this pod, of whichever life of the service."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        root = Path(f"/proc/{pid}").stat().st_uid == 0
        ours = MODULE.encode() in words and f"MMSNAP_POD={uid}".encode() in environment
        return root and ours and not is_in_pod(pid, uid)
    return False


def tell_to_stand_aside(pid: int, uid: str) -> None:
    """The program of this shim is a member by itself."""
    if is_shim_of(pid, uid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _pass_on(process: subprocess.Popen[bytes], pod: Pod) -> None:
    """What a shim says is said here, as long as there is somebody to say it."""
    assert process.stderr is not None
    for line in process.stderr:
        log.info("pod %s: %s", pod, line.decode(errors="replace").rstrip())
    process.wait()


def _move_out(pid: int) -> None:
    """To cgroups of its own; where there can be none, it stays and ends with the container."""
    for hierarchy in [_CGROUPS, *_folders(_CGROUPS)]:
        if (hierarchy / "cgroup.procs").exists():
            outside = hierarchy / CGROUP
            with suppress(OSError):
                outside.mkdir(exist_ok=True)
                (outside / "cgroup.procs").write_text(str(pid))


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
