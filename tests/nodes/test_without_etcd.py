"""The fear: etcd has no majority, and what is on the node is of no use; or it is used, and others
never hear of it, or what they did meanwhile is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import mmsnap
from mmsnap.catalog import GroupRecord
from mmsnap.group.messages import Kind
from mmsnap.node.without_etcd import _newest_settled
from tests.node.fake_member import FakeMember
from tests.nodes.site import MMSNAP, Cluster, Node, await_true, cluster
from tests.nodes.test_forgotten import catalog_of, ok
from tests.nodes.test_replicas import attached, create

# Says what it counted whenever it was restored.
COUNTER = """
import os, time, mmsnap
print("process", os.getpid(), flush=True)
with mmsnap.attach(size="4MiB") as app:
    count, generation = app.array("count", 1, "i8"), None
    while True:
        with app.update():
            if app.generation != generation:
                generation = app.generation
                print(generation, count[0], flush=True)
            count[0] += 1
        time.sleep(0.001)
"""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    with cluster(size=2) as made:
        yield made


class Counter:
    """A member; ended with the test."""

    def __init__(self, node: Node, member: str, told: ExitStack, group: str = "bank") -> None:
        self.member = member
        self._node = node
        self._log = Path(node.pool.parent / f"{member}-{os.urandom(3).hex()}.log")
        words = ["run", "--group", group, "--member", member, "--", sys.executable, "-c", COUNTER]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [MMSNAP, *words], env=node.environment, stdout=log, stderr=log
            )
        told.callback(self.end)

    def said(self) -> list[tuple[int, int]]:
        """Generation and count, whenever there was a new one."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [(int(line[0]), int(line[1])) for line in lines if line[0].isdecimal()]

    def count_at(self, epoch: int) -> int:
        with mmsnap.open(self._node.pool, f"bank.{self.member}", mode="r", at=f"@{epoch}") as app:
            return int(app.array("count")[0])

    def await_count(self, count: int) -> int:
        """Returns the generation that began with this count."""
        try:
            await_true(lambda: self.said() and self.said()[-1][1] == count, f"it is at {count}")
        except AssertionError:
            print(self.member, self._log.read_text(), self._node.log[-4000:], sep="\n")
            raise
        return self.said()[-1][0]

    def kill(self) -> None:
        """The member itself, not who started it."""
        words = self._log.read_text().split()
        os.kill(int(words[words.index("process") + 1]), signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()


@contextmanager
def counters(*places: tuple[Node, str]) -> Iterator[tuple[list[Counter], ExitStack]]:
    with ExitStack() as told:
        made = [Counter(node, member, told) for node, member in places]
        node, names = places[0][0], {member for _, member in places}
        await_true(lambda: attached(node) == names, f"{names} are attached")
        yield made, told


def lose_majority(nodes: Cluster) -> None:
    nodes.etcd.kill(1)
    nodes.etcd.kill(2)


def regain_majority(nodes: Cluster) -> None:
    """Returns when every node that runs has heard of it."""
    nodes.etcd.start(1)
    nodes.etcd.await_health(1)
    for node in nodes.nodes:
        if _runs(node.process.pid):
            await_true(lambda asked=node: asked.mmsnap("ps").returncode == 0, "etcd is heard")


def _runs(pid: int) -> bool:
    """Whether a process is there, and not stopped."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "TZ"


def record(nodes: Cluster) -> GroupRecord:
    return catalog_of(nodes).group("bank")


def test_no_majority_aborts_checkpoints_with_the_reason_and_stops_nobody(nodes: Cluster) -> None:
    n1, n2 = nodes.nodes
    with counters((n1, "a"), (n2, "b")) as (members, _):
        create(n1, "c")
        lose_majority(nodes)
        for words in (["checkpoint", "create", "bank"], ["restore", "bank", "c"]):
            told = n1.mmsnap(*words)
            assert told.returncode != 0
            assert "etcd does not answer" in told.stderr
        assert "b of the group would follow a restore on other nodes" in told.stderr
        assert all(len(member.said()) == 1 for member in members), "nobody was moved"
        assert all(member.process.poll() is None for member in members)
        regain_majority(nodes)
        await_true(lambda: n1.mmsnap("checkpoint", "create", "bank").returncode == 0, "as before")


def test_a_member_dies_while_etcd_has_no_majority_and_comes_back_to_its_head(
    nodes: Cluster,
) -> None:
    n1 = nodes.nodes[0]
    with counters((n1, "a"), (n1, "b")) as ((a, b), told):
        head = create(n1, "c")["epoch"]
        lose_majority(nodes)
        a.kill()
        again = Counter(n1, "a", told)
        again.await_count(a.count_at(head))
        generation = b.await_count(b.count_at(head))  # what it lost is owed to the others
        regain_majority(nodes)
        await_true(lambda: record(nodes).restore_epoch == generation, "it is recorded")
        await_true(lambda: attached(n1) == {"a", "b"}, "etcd hears that it is back")
        assert create(n1, "after")["epoch"] > generation
        assert len(again.said()) == 1
        assert b.said()[-1][0] == generation, "nobody was moved once more"


def test_a_restore_without_etcd_is_recorded_when_it_is_back(nodes: Cluster) -> None:
    n1, n2 = nodes.nodes
    with counters((n1, "a"), (n1, "b")) as (members, _):
        old = create(n1, "old")["epoch"]
        create(n1, "new")
        lose_majority(nodes)
        for _ in range(2):  # each has a number of its own
            ok(n1, "restore", "bank", "old")
        generations = {member.await_count(member.count_at(old)) for member in members}
        (generation,) = generations
        regain_majority(nodes)
        await_true(lambda: record(nodes).head_epoch == old, "the head is recorded")
        assert record(nodes).restore_epoch == generation
        assert create(n2, "after")["epoch"] > generation
        assert {member.said()[-1][0] for member in members} == generations


def test_a_service_that_dies_after_a_restore_without_etcd_has_it_recorded_by_the_next(
    nodes: Cluster,
) -> None:
    n1 = nodes.nodes[0]
    with counters((n1, "a"), (n1, "b")) as (members, _):
        old = create(n1, "old")["epoch"]
        create(n1, "new")
        lose_majority(nodes)
        ok(n1, "restore", "bank", "old")
        n1.kill()
        regain_majority(nodes)
        n1.start()
        assert record(nodes).head_epoch == old, "before anybody is served"
        await_true(
            lambda: n1.mmsnap("checkpoint", "create", "bank").returncode == 0, "they are back"
        )
        assert {member.said()[-1][1] for member in members} == {m.count_at(old) for m in members}


def test_what_is_in_doubt_stays_so_until_etcd_answers(nodes: Cluster) -> None:
    n1 = nodes.nodes[0]
    with ExitStack() as told:
        real = Counter(n1, "a", told, group="g")
        odd = FakeMember(n1.address, "b", on_loss="wait")
        told.callback(odd.close)
        odd.join()
        await_true(lambda: len(odd.client.members("g")) == 2, "both are attached")
        create_of = ["checkpoint", "create", "g", "--name"]
        asking = threading.Thread(target=lambda: n1.mmsnap(*create_of, "doubtful"))
        asking.start()
        odd.say(Kind.READY, odd.expect(Kind.BEGIN))
        odd.say(Kind.HELD, odd.expect(Kind.QUIESCE))
        odd.say(Kind.CUT_DONE, odd.expect(Kind.CUT))
        epoch = odd.expect(Kind.RESUME)
        lose_majority(nodes)
        odd.say(Kind.SEALED, epoch)
        await_true(lambda: "in doubt" in n1.log, "nobody knows whether it was committed")
        refused = n1.mmsnap("restore", "g")
        assert refused.returncode != 0
        assert "done" not in n1.log, "nothing was restored"
        real.kill()
        for _ in range(2):
            assert _newest_settled(n1.pool, "g.a", set()) is None, "asking does not decide it"
        regain_majority(nodes)
        asking.join(60)
        again = Counter(n1, "a", told, group="g")
        await_true(again.said, "it comes back, and is told what became of it")
        assert catalog_of(nodes).committed_epochs("g") in ([], [epoch])


def test_what_was_done_without_etcd_gives_way_to_what_others_did(nodes: Cluster) -> None:
    n1, n2 = nodes.nodes
    with counters((n1, "a"), (n1, "b")) as ((a, b), told):
        create(n1, "old", "--wait", "replicated")
        head = create(n1, "new", "--wait", "replicated")["epoch"]
        lose_majority(nodes)
        ok(n1, "restore", "bank", "old")
        restored = len(b.said())
        n1.stop()  # it does not hear that etcd is back, and somebody takes it for dead
        regain_majority(nodes)
        ok(n2, "node", "down", "n1", "--force", "--yes")
        elsewhere = Counter(n2, "a", told)
        elsewhere.await_count(a.count_at(head))
        n1.go_on()
        a.process.wait(30)  # a leftover
        await_true(lambda: len(b.said()) > restored, "b is moved once more")
        b.await_count(b.count_at(head))
        assert "others changed the group" in n1.log
        await_true(lambda: attached(n2) == {"a", "b"}, "both are members")
        assert record(nodes).head_epoch == head
        after = create(n2, "after")["epoch"]
        assert after > max(generation for generation, _ in b.said())


def test_a_restore_without_etcd_is_undone_when_others_changed_the_group(nodes: Cluster) -> None:
    n1, n2 = nodes.nodes
    with counters((n1, "a"), (n1, "b")) as (members, _):
        create(n1, "old")
        head = create(n1, "new")["epoch"]
        lose_majority(nodes)
        ok(n1, "restore", "bank", "old")
        n1.stop()
        regain_majority(nodes)
        ok(n2, "checkpoint", "pin", "bank", "new")
        n1.go_on()
        for member in members:
            member.await_count(member.count_at(head))
        assert record(nodes).head_epoch == head
        after = create(n2, "after")["epoch"]
        assert after > max(generation for generation, _ in members[0].said())
