"""The peer of the process engine: CRIU as one would use it without mmsnap.

The program lives in namespaces of its own as under mmsnap, so that its process ids are free again;
it is dumped and restored by one `criu` command, with CRIU's own freezing and network lock.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from mmsnap.process.criu import Criu
from mmsnap.process.first import Exited, Started
from mmsnap.process.freezer import make_freezer
from mmsnap.process.network_lock import NetworkLock
from mmsnap.process.program import FirstProcess


class PlainProgram:
    """One program, started; times are of whole commands, in nanoseconds."""

    def __init__(self, criu: Criu, folder: Path, name: str, command: tuple[str, ...]) -> None:
        self._criu = criu
        self._images = folder / f"{name}.images"
        self._freezer = make_freezer(f"bench.{name}")
        lock = NetworkLock(criu, f"bench.{name}")
        _, writer = os.pipe()  # nothing is written to it
        self._first = FirstProcess(self._freezer, lock, (writer, writer))
        self._first.start(command, os.environ, "/")
        news = self._first.hear()
        assert isinstance(news, Started)
        self._pid = news.pid

    def dump(self) -> int:
        """`criu dump --leave-running`, to memory that was written before."""
        shutil.rmtree(self._images, ignore_errors=True)
        self._images.mkdir()
        return self._timed(
            "dump", f"--tree={self._pid}", "--leave-running", "--tcp-established",
            "--network-lock=nftables", "--manage-cgroups=ignore",
        )  # fmt: skip

    def restore(self) -> int:
        """Kills it and waits, then `criu restore`."""
        for pid in self._freezer.pids():
            os.kill(pid, signal.SIGKILL)
        while not (isinstance(news := self._first.hear(), Exited) and news.pid == self._pid):
            pass
        self._freezer.wait_empty(10)
        return self._timed(
            "restore", "--restore-detached", "--tcp-established", "--manage-cgroups=ignore"
        )

    def end(self) -> None:
        # Later programs hold a copy of its line: closing ours alone would not end it.
        os.kill(self._first.pid, signal.SIGKILL)
        self._first.end()
        self._freezer.wait_empty(10)
        self._freezer.remove()

    def _timed(self, verb: str, *options: str) -> int:
        criu = [
            *self._criu.criu.command,
            verb,
            f"--images-dir={self._images}",
            "--log-file=criu.log",
            "-v1",
            *options,
        ]
        command = self._first.within(criu, self._freezer.procs if verb == "restore" else None)
        begun_ns = time.perf_counter_ns()
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            start_new_session=True,
        )
        took_ns = time.perf_counter_ns() - begun_ns
        if done.returncode:
            raise SystemExit(f"criu {verb}: {(self._images / 'criu.log').read_text()}")
        return took_ns
