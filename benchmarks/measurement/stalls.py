"""How long does a member of a group stand still, against its pause when it is cut alone?

Three processes write all the time, at a pace that leaves the processor to the others, or the
machine's scheduler would be measured. In turns each is checkpointed alone, as a group of one, and
then all are, as a group of three; the others keep writing in both cases.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

import mmsnap
from measurement.crew import Worker, worker
from measurement.samples import Samples
from measurement.writing import PAGE_BYTES, Gaps, choose_pages, fill, write_once, write_through

MEMBERS: Final = ("a", "b", "c")
_DIRTY: Final = 0.1
_PACE_SECONDS: Final = 0.0002
_DIRECTORY_BYTES: Final = 16 << 20
_QUIET_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 10.0

Stalls = dict[str, Samples]


class Announced:
    """A capture that somebody else takes: it is over when a line on the pipe says so."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def begin(self) -> None: ...

    def finished(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        self._over.set()


class Member:
    """A process that is a member of a group and keeps writing to its array."""

    def __init__(self, address: str, group: str, name: str, size_bytes: int) -> None:
        self._app = mmsnap.attach(group, name, size=size_bytes + _DIRECTORY_BYTES, address=address)
        words = self._app.array("words", (size_bytes // 8,), np.int64)
        fill(words)
        self._memory = words.data.cast("B").cast("q")
        self._page_count = words.nbytes // PAGE_BYTES
        self._value = 0
        self._running: threading.Thread | None = None

    def write(self, seed: int) -> None:
        """Dirties a tenth of the pages, then keeps writing to them until `stop`."""
        self._app.region.settle()
        places = choose_pages(self._page_count, _DIRTY, seed)
        self._value += 1
        write_once(self._memory, places, self._value, self._app.update())
        self._capture = Announced()
        self._places = places[:64]
        self._running = threading.Thread(target=self._keep_writing)
        self._running.start()

    def stop(self) -> int:
        """Ends the writing; returns the longest gap in nanoseconds."""
        assert self._running is not None
        self._capture.end()
        self._running.join()
        return self._gaps.longest_ns

    def _keep_writing(self) -> None:
        self._gaps: Gaps = write_through(
            self._memory,
            self._places,
            self._value,
            self._app.update(),
            self._capture,
            pace=partial(time.sleep, _PACE_SECONDS),
        )


def measure_stalls(
    folder: Path, member_bytes: int, rounds: int, progress: Callable[[str], None]
) -> Stalls:
    """By "nobody, stall", "alone, pause", "alone, stall", "group, pause" and "group, stall".

    A pause is what the checkpoint reports, a stall the longest gap of a member's loop; each is that
    of the slowest member in its round. "nobody" is what the loops see while nothing is cut.
    """
    with _agent(folder) as address, mmsnap.Client(address) as client, ExitStack() as stack:
        progress("warming three members")
        alone = _members(stack, address, lambda name: f"alone-{name}", member_bytes)
        group = _members(stack, address, lambda name: "trio", member_bytes)
        taken: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            progress(f"group of three, round {number} of {rounds}")
            figures = {
                "nobody, stall": _quiet_round(group, number),
                **_alone_round(client, alone, number),
                **_group_round(client, group, number),
            }
            for name, value in figures.items() if number else ():
                taken.setdefault(name, []).append(value)
    return {name: Samples(values) for name, values in taken.items()}


def _members(
    stack: ExitStack, address: str, group: Callable[[str], str], member_bytes: int
) -> dict[str, Worker]:
    return {
        name: stack.enter_context(worker(Member, address, group(name), name, member_bytes))
        for name in MEMBERS
    }


def _quiet_round(members: dict[str, Worker], seed: int) -> float:
    for member in members.values():
        member.ask("write", seed)
    time.sleep(_QUIET_SECONDS)
    return float(max(member.ask("stop") for member in members.values()))


def _alone_round(client: mmsnap.Client, members: dict[str, Worker], seed: int) -> dict[str, float]:
    pauses, stalls = [], []
    for name in MEMBERS:
        taken, longest_ns = _cut(client, f"alone-{name}", members, seed)
        pauses.append(taken.pause_ns)
        stalls.append(longest_ns[name])
    return {"alone, pause": max(pauses), "alone, stall": max(stalls)}


def _group_round(client: mmsnap.Client, members: dict[str, Worker], seed: int) -> dict[str, float]:
    taken, longest_ns = _cut(client, "trio", members, seed)
    return {"group, pause": taken.pause_ns, "group, stall": max(longest_ns.values())}


def _cut(
    client: mmsnap.Client, group: str, members: dict[str, Worker], seed: int
) -> tuple[Any, dict[str, int]]:
    """One checkpoint of `group` while all `members` write; the longest gap of each."""
    for member in members.values():
        member.ask("write", seed)
    previous = client.checkpoints(group)
    taken = client.checkpoint(group)
    longest_ns = {name: member.ask("stop") for name, member in members.items()}
    for old in previous:
        client.delete_checkpoint(group, old.name)
    return taken, longest_ns


@contextmanager
def _agent(folder: Path) -> Iterator[str]:
    """A node service of its own on a pool in `folder`; its address."""
    pool = folder / "group"
    pool.mkdir()
    address = f"unix://{folder / 'agent.sock'}"
    command: list[str | Path] = [Path(sys.executable).with_name("mmsnap"), "agent", "--pool", pool]
    process = subprocess.Popen(
        [*command, "--address", address], stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _await_service(address, process)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_service(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with mmsnap.Client(address) as client:
        while True:
            try:
                client.usage()
                return
            except mmsnap.AgentUnavailableError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
