"""How long does a group over three nodes stand still, and how long would its members without it?

In turns: the group is cut while its members write; the same processes are cut outside of any group,
all at once and without barriers, once while they rest and once while they write as in the group;
orders go to another node and back. A round trip is also taken while six are cut, in a cut of its
own, so that it is in nobody's way.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import mmsnap
from measurement.crew import Worker, worker
from measurement.node_member import GROUP, NodeMember, Wait
from measurement.roundtrip import Asker, Echo
from measurement.samples import Samples
from measurement.unbarred import Unbarred, UnbarredCut
from tests.nodes.hosts import hosts
from tests.nodes.site import Node, cluster

MEMBERS: Final = 6
NODES: Final = 3
DIRTY: Final = 0.01
_TRIPS: Final = 20
_REST_SECONDS: Final = 0.05
_OTHERS: Final = 1 << 16  # other pages than those of the same round's group

GLOBAL: Final = "group, first still to last running"
HELD: Final = "group, first order to last answer"
GROUP_SLOWEST: Final = "group, the slowest's own pause"
TOGETHER: Final = "no group, all six told at once"
BESIDE_WRITERS: Final = "no group, all six, beside their writers"
SLOWEST: Final = "no group, the slowest's own pause"
TRIP: Final = "round trip"
LOADED_TRIP: Final = "round trip while six are cut"

Cuts = dict[str, Samples]


class Stage:
    """Three nodes on three hosts, six members, and who cuts them without a group."""

    def __init__(self, stack: ExitStack, folder: Path, member_bytes: int) -> None:
        self.nodes = stack.enter_context(cluster(NODES, stack.enter_context(hosts(NODES)))).nodes
        pool = folder / "alone"
        pool.mkdir()
        self.members = [
            stack.enter_context(
                worker(NodeMember, self._node(n).address, f"m{n}", member_bytes, pool)
            )
            for n in range(MEMBERS)
        ]
        self.unbarred = Unbarred(folder / "unbarred.sock")
        stack.callback(self.unbarred.close)
        for number, member in enumerate(self.members):
            member.begin("obey", str(self.unbarred.path), number + 1)
            self.unbarred.admit()
            member.finish()
        self.asker = self._asker(stack)
        self.client = stack.enter_context(mmsnap.Client(self.nodes[0].address))

    def all(self, method: str, *arguments: Any) -> list[Any]:
        """Has every member do something, one after the other."""
        return [member.ask(method, *arguments) for member in self.members]

    def _node(self, member: int) -> Node:
        return self.nodes[member % NODES]

    def _asker(self, stack: ExitStack) -> Worker:
        near, far = self.nodes[:2]
        stack.enter_context(worker(Echo, far.address))
        target = f"{far.host.address}:{far.port}"
        return stack.enter_context(worker(Asker, near.host, near.name, near.tls, target, far.name))


def measure_cuts(
    folder: Path, member_bytes: int, rounds: int, progress: Callable[[str], None]
) -> Cuts:
    """Nanoseconds by round; the first round only warms memory, logs and streams."""
    taken: dict[str, list[float]] = {}
    with ExitStack() as stack:
        progress("warming six members on three nodes")
        stage = Stage(stack, folder, member_bytes)
        for number in range(rounds + 1):
            progress(f"six members on three nodes, round {number} of {rounds}")
            figures = _group_round(stage, number) | _unbarred_round(stage, number)
            figures |= _trip_round(stage)
            for name, value in figures.items() if number else ():
                taken.setdefault(name, []).append(value)
    return {name: Samples(values) for name, values in taken.items()}


def _group_round(stage: Stage, number: int) -> dict[str, float]:
    stage.all("choose", DIRTY, number)
    stage.all("write")
    previous = stage.client.checkpoints(GROUP)
    begun_ns = time.monotonic_ns()
    cut = stage.client.checkpoint(GROUP)
    ended_ns = time.monotonic_ns()
    told_ns = {part.member: part.pause_ns for part in cut.members}
    pauses_ns = [told_ns[f"m{number}"] for number in range(MEMBERS)]
    took_ns = _stood_ns(stage, pauses_ns, begun_ns, ended_ns)
    for old in previous:
        stage.client.delete_checkpoint(GROUP, old.name)
    return {
        GLOBAL: took_ns,
        HELD: cut.held_ns,
        GROUP_SLOWEST: max(pauses_ns),
    }


def _stood_ns(stage: Stage, pauses_ns: Sequence[int], begun_ns: int, ended_ns: int) -> int:
    """Ends the members' writing: from when the first stood still in a cut until the last ran.

    The cut was between `begun_ns` and `ended_ns`, so what a member waited for then, and about as
    long as its pause, was the cut; but not if that is far from what most others waited for.
    """
    picked: list[Wait] = []
    for pause_ns, waits in zip(pauses_ns, stage.all("stop"), strict=True):
        those = [w for w in waits if begun_ns < w.entered_ns and w.asked_ns < ended_ns]
        if those:
            picked.append(min(those, key=lambda w: abs(w.waited_ns - pause_ns)))
    agreed_ns = statistics.median_low([wait.entered_ns for wait in picked])
    near = [wait for wait in picked if abs(wait.entered_ns - agreed_ns) < 2 * max(pauses_ns)]
    return max(wait.entered_ns for wait in near) - min(wait.left_ns for wait in near)


def _unbarred_round(stage: Stage, number: int) -> dict[str, float]:
    stage.all("choose", DIRTY, number)
    resting = _cut_unbarred(stage)
    stage.all("choose", DIRTY, number + _OTHERS)
    writing = _cut_unbarred(stage, before=lambda: stage.all("write_outside"))
    stage.all("stop")
    return {
        TOGETHER: resting.took_ns,
        BESIDE_WRITERS: writing.took_ns,
        SLOWEST: max(resting.pauses_ns),
    }


def _trip_round(stage: Stage) -> dict[str, float]:
    stage.asker.ask("open")
    idle_ns = statistics.median(stage.asker.ask("ask", _TRIPS))
    stage.asker.ask("close")

    def ask() -> None:
        stage.asker.begin("ask", 1)

    _cut_unbarred(stage, before=lambda: stage.asker.ask("open"), beside=ask)
    (loaded_ns,) = stage.asker.finish()
    stage.asker.ask("close")
    return {TRIP: idle_ns, LOADED_TRIP: loaded_ns}


def _nothing() -> None:
    """Nobody asks anything."""


def _cut_unbarred(
    stage: Stage,
    before: Callable[[], object] = _nothing,
    beside: Callable[[], object] = _nothing,
) -> UnbarredCut:
    # As in the group: what was copied ahead is dirty again in the cut, all of it.
    stage.all("write_alone")
    stage.unbarred.begin()
    stage.all("write_alone")
    before()
    time.sleep(_REST_SECONDS)
    beside()
    cut = stage.unbarred.cut()
    stage.unbarred.commit()
    return cut
