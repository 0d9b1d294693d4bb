"""A site for the tests: one pool, a service as a process, workers as processes.

Everything lives in one fresh folder and dies with it; every process is ended by its id.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mmsnap
from mmsnap.errors import AgentUnavailableError
from mmsnap_sdk.client import Client
from tests.node.worker import CELLS, LOG_SIZE

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk'}"}
AGENT = """
import asyncio, logging, pathlib, sys
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
from mmsnap.node.agent import run
asyncio.run(run(pathlib.Path(sys.argv[1]), sys.argv[2]))
"""


class WorkerProcess:
    """A worker of `worker.py`."""

    def __init__(self, site: Site, name: str, on_loss: str, hooks: bool) -> None:
        self.name = name
        self.log_path = site.folder / f"{name}-{time.monotonic_ns()}.log"
        options = {
            "group": "g",
            "member": name,
            "address": site.address,
            "log": str(self.log_path),
            "on_loss": on_loss,
            "hooks": hooks,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/node/worker.py"), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=site.errors,
            text=True,
            env=ENVIRONMENT,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def hear(self, within: float = 20.0) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], within)
        assert ready, f"worker {self.name} does not answer"
        line = self.process.stdout.readline()
        assert line, f"worker {self.name} died"
        return json.loads(line)

    def ask(self, command: str) -> Any:
        self.tell(command)
        return self.hear()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def stamps(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """All stamps it ever wrote, in their order; also those of a killed one."""
        log = np.memmap(self.log_path, np.int64, "r", shape=(LOG_SIZE,))
        return np.array(log[: int(np.argmin(log > 0))])

    def longest_stall(self, since_ns: int) -> float:
        """The longest time, in seconds, in which it did not get into an update."""
        stamps = self.stamps()
        later = stamps[stamps > since_ns]
        edges = np.concatenate([[since_ns], later, [time.monotonic_ns()]])
        return float(np.diff(edges).max()) / 1e9


class Site:
    """One pool and who works on it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mmsnap-test-", dir="/dev/shm"))
        self.pool = self.folder / "pool"
        self.pool.mkdir()
        self.address = f"unix://{self.folder / 'run' / 'agent.sock'}"
        self.errors = open(self.folder / "errors", "w+")  # noqa: SIM115
        self.agent: subprocess.Popen[bytes] | None = None
        self.workers: dict[str, WorkerProcess] = {}
        self.client = Client(self.address)

    # ---- the service ----

    def start_agent(self) -> None:
        self.agent = subprocess.Popen(
            [sys.executable, "-c", AGENT, str(self.pool), self.address],
            stderr=self.errors,
            env=ENVIRONMENT,
        )
        self.until(self._agent_answers, "the service serves")

    def kill_agent(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait()

    def _agent_answers(self) -> bool:
        try:
            self.client.members()
        except AgentUnavailableError:
            return False
        return True

    # ---- workers ----

    def start_workers(self, *names: str, on_loss: str = "rollback", hooks: bool = False) -> None:
        for name in names:
            self.workers[name] = WorkerProcess(self, name, on_loss, hooks)
        for name in names:
            assert self.workers[name].hear() == "ready"

    def stop_agent(self) -> int:
        """Ask it to end; its exit code."""
        assert self.agent is not None
        self.agent.terminate()
        return self.agent.wait(20)

    def kill_workers(self, *names: str) -> None:
        for name in names or tuple(self.workers):
            self.workers[name].kill()

    def states(self) -> dict[str, str]:
        return {member.member: member.state for member in self.client.members("g")}

    def until(self, condition: Callable[[], bool], what: str, within: float = 15.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s: {what}\n{self.said()}"
            time.sleep(0.01)

    # ---- what is kept ----

    def kept(self, member: str, epoch: int) -> int:
        """The stamp that a checkpoint keeps of a member; all its cells must have it."""
        with mmsnap.open(self.pool, f"g.{member}", mode="r", at=f"@{epoch}") as app:
            cells = np.unique(app.array("cells", (CELLS,), np.int64))
        assert cells.size == 1, f"@{epoch} of {member} is torn: {cells}"
        return int(cells[0])

    def assert_one_instant(self, epoch: int, logs: dict[str, WorkerProcess]) -> None:
        """What every member kept was written before the first thing that any of them lost."""
        kept = {member: self.kept(member, epoch) for member in logs}
        lost = {}
        for member, worker in logs.items():
            stamps = worker.stamps()
            later = stamps[stamps > kept[member]]
            lost[member] = int(later[0]) if later.size else time.monotonic_ns()
        assert max(kept.values()) <= min(lost.values()), f"@{epoch} is not one instant"

    def said(self) -> str:
        """The last that the processes wrote to their standard error."""
        self.errors.flush()
        return (self.folder / "errors").read_text()[-4000:]

    def close(self) -> None:
        self.client.close()
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.kill()
        if self.agent is not None and self.agent.poll() is None:
            self.kill_agent()
        self.errors.close()
        shutil.rmtree(self.folder)
