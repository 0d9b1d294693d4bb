"""A site for the tests: one pool, a service as a process, workers as processes.

Everything lives in one fresh folder and dies with it; every process is ended by its id.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

import mmsnap
from mmsnap.catalog import SqliteCatalog
from mmsnap.errors import AgentUnavailableError
from mmsnap.memory import Region
from mmsnap.node.agent import CATALOG_FILE
from mmsnap_sdk.client import Client
from tests.node.worker import CELLS, LOG_SIZE, serve, work

# Forked from a process that has imported everything: a start takes milliseconds, not a second.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.node.worker", "mmsnap.node.agent"])


class WorkerProcess:
    """A worker of `worker.py`."""

    def __init__(self, site: Site, name: str, on_loss: str, hooks: bool) -> None:
        self.site = site
        self.name = name
        self.log_path = site.folder / f"{name}-{time.monotonic_ns()}.log"
        options = {
            "group": "g",
            "member": name,
            "address": site.address,
            "log": str(self.log_path),
            "errors": str(site.errors),
            "on_loss": on_loss,
            "hooks": hooks,
        }
        self.pipe, theirs = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=work, args=(options, theirs), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def tell(self, command: str) -> None:
        self.pipe.send(command)

    def hear(self, within: float = 20.0) -> Any:
        assert self.pipe.poll(within), f"worker {self.name} does not answer\n{self.site.said()}"
        try:
            return self.pipe.recv()
        except EOFError:
            raise AssertionError(f"worker {self.name} died\n{self.site.said()}") from None

    def ask(self, command: str) -> Any:
        self.tell(command)
        return self.hear()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

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
    """One pool and who works on it; `fault` is what is wrong with its service (`FAULTS`)."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.folder = Path(tempfile.mkdtemp(prefix="mmsnap-test-", dir="/dev/shm"))
        self.pool = self.folder / "pool"
        self.pool.mkdir()
        self.address = f"unix://{self.folder / 'run' / 'agent.sock'}"
        self.errors = self.folder / "errors"
        self.errors.touch()
        self.agent: Any = None
        self.workers: dict[str, WorkerProcess] = {}
        self.client = Client(self.address)

    # ---- the service ----

    def start_agent(self) -> None:
        self.agent = PROCESSES.Process(
            target=serve,
            args=(str(self.pool), self.address, str(self.errors), self.fault),
            daemon=True,
        )
        self.agent.start()
        self.until(self._agent_answers, "the service serves")

    def kill_agent(self) -> None:
        self.agent.kill()
        self.agent.join()

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
        self.agent.terminate()
        self.agent.join(20)
        code: int = self.agent.exitcode
        return code

    def kill_workers(self, *names: str) -> None:
        for name in names or tuple(self.workers):
            self.workers[name].kill()

    def states(self) -> dict[str, str]:
        return {member.member: member.state for member in self.client.members("g")}

    def await_rolled_back(self, member: str, *names: str | None) -> None:
        """Wait until the member's after_restore hooks have been told these, and no more."""
        shown = lambda: self.workers[member].ask("show")["rolled_back"]  # noqa: E731
        self.until(lambda: shown() == list(names), f"{member} went back to {names}")

    def all_attached(self) -> bool:
        return set(self.states().values()) == {"attached"}

    def until(self, condition: Callable[[], bool], what: str, within: float = 15.0) -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s: {what}\n{self.said()}"
            time.sleep(0.01)

    # ---- what is kept ----

    def kept(self, member: str, epoch: int) -> int:
        """The stamp that a checkpoint keeps of a member; all its cells must have it."""
        self._finish_for_the_dead(f"g.{member}")
        with mmsnap.open(self.pool, f"g.{member}", mode="r", at=f"@{epoch}") as app:
            cells = np.unique(app.array("cells", (CELLS,), np.int64))
        assert cells.size == 1, f"@{epoch} of {member} is torn: {cells}"
        return int(cells[0])

    def _finish_for_the_dead(self, region: str) -> None:
        """A member killed before it heard of the commit has it prepared only."""
        with (
            closing(SqliteCatalog(self.pool / CATALOG_FILE)) as catalog,
            suppress(mmsnap.InUseError),
        ):
            Region.open(
                self.pool, region, mode="r+", decide=lambda asked: catalog.is_committed("g", asked)
            ).close()

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
        return self.errors.read_text()[-4000:]

    def close(self) -> None:
        self.client.close()
        for worker in self.workers.values():
            if worker.process.is_alive():
                worker.kill()
        if self.agent is not None and self.agent.is_alive():
            self.kill_agent()
        shutil.rmtree(self.folder)
