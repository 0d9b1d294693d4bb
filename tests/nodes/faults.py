"""Faults in a chosen phase of an operation, made to one who takes part, and what comes of it.

Two nodes have the members of the bank, a third one keeps copies. One member's line passes a tap, so
that the fault is made exactly when its packet of the phase comes by.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import mmsnap
from mmsnap.errors import AgentUnavailableError, MmsnapError
from mmsnap.group.messages import Kind
from mmsnap.rpc.addresses import members_path, socket_path
from tests.nodes.site import Bank, Cluster, Node, await_true, bank, cluster
from tests.nodes.tap import Tap
from tests.nodes.wire import Wire, wired_node

MEMBERS = 4
TAPPED = 1  # on the second node
_STOP_SECONDS = 4.0  # longer than the members' leases

# The packet of the tapped member that begins the phase, or ends it.
PHASES = {
    "begin": Kind.BEGIN,
    "pre-copy": Kind.READY,
    "quiesce": Kind.QUIESCE,
    "cut": Kind.CUT_DONE,
    "resume": Kind.RESUME,
    "seal": Kind.SEALED,
    "commit": Kind.COMMIT,
    "apply": Kind.DONE,
    "replicate": None,
    "restore": Kind.RESTORE,
}
ROLES = ("coordinator", "participant", "etcd leader", "replica")
WAYS = ("killed", "stopped")
LINK = "link"  # of a wired theatre: what the coordinator and the participant speak over


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended that a fault was made in.

    Attributes:
        told: what whoever asked for it heard: "committed", "aborted" or "no answer".
        happened: whether the catalog has it.
        gap_seconds: the longest time in which a member could do nothing.
        again_seconds: until the next checkpoint was committed, after the fault was over.
    """

    told: str
    happened: bool
    gap_seconds: float
    again_seconds: float
    reason: str = ""


class Theatre:
    """The cluster, its bank, and the tap."""

    def __init__(self, nodes: Cluster, members: Bank, tap: Tap, links: Wire | None = None) -> None:
        self.nodes = nodes
        self.members = members
        self._tap = tap
        self.links = links
        self._count = 0

    def run(self, phase: str, role: str, way: str) -> Outcome:
        """One fault; AssertionError when anything is lost, torn or left standing."""
        self._count += 1
        self._create(f"before-{self._count}")
        self.members.longest_gap_seconds()
        victim = self._victim(role)
        kind = PHASES[phase]
        if kind is not None:
            self._tap.trap(kind, lambda: victim.strike(way))
        told: list[tuple[str, str]] = []
        asking = threading.Thread(target=lambda: told.append(self._ask(phase)))
        asking.start()
        if kind is None:
            self._await_copy()
            victim.strike(way)
        else:
            assert self._tap.sprung.wait(20), f"{phase} never came"
        if way == "stopped":
            time.sleep(_STOP_SECONDS)
        victim.recover(way)
        asking.join(60)
        assert not asking.is_alive(), f"{phase}, {role} {way}: whoever asked hangs"
        began = time.monotonic()
        await_true(lambda: self._can_create(f"after-{self._count}"), "a checkpoint again")
        again_seconds = time.monotonic() - began
        gap_seconds = self.members.longest_gap_seconds()
        happened = self._happened(phase)
        self._check()
        return Outcome(told[0][0], happened, gap_seconds, again_seconds, told[0][1])

    # ---- what is asked ----

    def _ask(self, phase: str) -> tuple[str, str]:
        with mmsnap.Client(self.nodes.nodes[0].address) as client:
            try:
                if phase == "restore":
                    client.restore("bank", f"before-{self._count}")
                else:
                    client.checkpoint("bank", self._name, replicas=2)
            except AgentUnavailableError as error:
                return "no answer", error.message
            except MmsnapError as error:
                # A stream that broke off is no answer either.
                lost = "service failed" in error.message or "without a result" in error.message
                return "no answer" if lost else "aborted", error.message
        return "committed", ""

    @property
    def _name(self) -> str:
        return f"hit-{self._count}"

    def _create(self, name: str) -> None:
        with mmsnap.Client(self.nodes.nodes[0].address) as client:
            client.checkpoint("bank", name, wait="replicated", replicas=2)

    def _can_create(self, name: str) -> bool:
        try:
            self._create(name)
        except FileExistsError:
            return True
        except (MmsnapError, TimeoutError):
            return False
        return True

    def _happened(self, phase: str) -> bool:
        with mmsnap.Client(self.nodes.nodes[0].address) as client:
            listed = client.checkpoints("bank")
        if phase == "restore":
            after = next(each for each in listed if each.name == f"after-{self._count}")
            before = next(each for each in listed if each.name == f"before-{self._count}")
            return after.parent == before.epoch
        return any(each.name == self._name for each in listed)

    def _check(self) -> None:
        """Everybody runs, and every checkpoint is whole and of one instant."""
        assert self.members.all_run()
        with mmsnap.Client(self.nodes.nodes[0].address) as client:
            for listed in client.checkpoints("bank"):
                self.members.check(listed.epoch)
            # So that the next run has little to look at.
            for listed in client.checkpoints("bank"):
                if not listed.head:
                    client.delete_checkpoint("bank", f"@{listed.epoch}")

    def _await_copy(self) -> None:
        """Until the checkpoint is there, and is being copied."""
        await_true(lambda: self._happened("replicate"), "it is committed", 20)

    # ---- who is struck ----

    def _victim(self, role: str) -> _Service | _Etcd | _Link:
        if role == LINK:
            assert self.links is not None
            return _Link(self.links)
        if role == "etcd leader":
            return _Etcd(self.nodes, self.nodes.etcd.leader())
        return _Service(self.nodes.nodes[ROLES.index(role) if role != "replica" else 2])


class _Service:
    def __init__(self, node: Node) -> None:
        self._node = node

    def strike(self, way: str) -> None:
        if way == "killed":
            self._node.kill()
        else:
            self._node.stop()

    def recover(self, way: str) -> None:
        if way == "killed":
            self._node.start()
        else:
            self._node.go_on()


class _Etcd:
    def __init__(self, nodes: Cluster, number: int) -> None:
        self._etcd = nodes.etcd
        self._number = number

    def strike(self, way: str) -> None:
        if way == "killed":
            self._etcd.kill(self._number)
        else:
            self._etcd.stop(self._number)

    def recover(self, way: str) -> None:
        if way == "killed":
            self._etcd.start(self._number)
        else:
            self._etcd.go_on(self._number)
        self._etcd.await_health(self._number)


class _Link:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def strike(self, way: str) -> None:
        if way == "killed":
            self._wire.cut()
        else:
            self._wire.hold()

    def recover(self, way: str) -> None:
        self._wire.go_on()


@contextmanager
def wired_theatre() -> Iterator[Theatre]:
    """The same, with a wire to the second node for all that is said on links."""
    with cluster(1) as nodes, ExitStack() as wires:
        _, calls, links = wired_node(nodes, "n2")
        for wire in (calls, links):
            wires.callback(wire.close)
        folder = nodes.nodes[0].pool.parent.with_name("n3")
        third = Node("n3", folder, nodes.authority, nodes.etcd.endpoints)
        third.start()
        nodes.nodes.append(third)
        with _with_bank(nodes, links) as made:
            yield made
        assert links.carried, "nothing passed the wire, so nothing was shown"


@contextmanager
def theatre() -> Iterator[Theatre]:
    """Three nodes, a bank on two of them."""
    with cluster(3) as nodes, _with_bank(nodes) as made:
        yield made


@contextmanager
def _with_bank(nodes: Cluster, links: Wire | None = None) -> Iterator[Theatre]:
    second = nodes.nodes[1]
    folder = second.pool.parent
    tap = Tap(folder / "tap.sock", members_path(socket_path(second.address)))
    try:
        with bank(nodes.nodes[:2], MEMBERS, {TAPPED: tap.path}) as members:
            yield Theatre(nodes, members, tap, links)
    except BaseException:
        _show(nodes, folder)
        raise
    finally:
        tap.close()


def _show(nodes: Cluster, folder: Path) -> None:
    for node in nodes.nodes:
        print(f"---- {node.name}\n{node.log[-4000:]}")
    done = subprocess.run(
        ["tail", "-n", "5", *folder.glob("m*.log")], capture_output=True, text=True, check=False
    )
    print(done.stdout)
