"""A bank on several nodes, in the seeded world: coordinators die, links break, the catalog fences.

Members move money to each other all the time, except while they stand still. A message is the sum
of all that was sent to a member, so in every consistent cut nobody has got what was not sent. What
the nodes do when a coordinator is gone are the rules of mmsnap.node.relay and of `Catalog.settle`.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

from mmsnap.group import CheckpointOperation, Operation, RestoreOperation
from mmsnap.group import messages as m
from tests.group.world import BUDGETS, Member, Trouble, World


@dataclass
class Rules:
    """What a broken node or catalog would do otherwise; each is True in a sound one."""

    settling_fences: bool = True
    commits_are_fenced: bool = True
    sealed_ones_ask: bool = True
    held_ones_stand_still: bool = True
    the_late_catch_up: bool = True


@dataclass
class Book:
    """What a member sent to each in all, and got from each."""

    sent: dict[str, int] = field(default_factory=dict)
    got: dict[str, int] = field(default_factory=dict)
    lineage: int = 0  # the restore that it has followed last


class _Gone:
    """An operation whose coordinator died: it hears nothing, and says nothing."""

    deadline_ns = None

    def __init__(self, operation: Operation) -> None:
        self.epoch = operation.epoch
        self.finished = True
        if isinstance(operation, RestoreOperation):
            self.target = operation.target

    def receive(self, *_: object) -> list[object]:
        return []

    lose = answer = receive


class BankWorld(World):
    """One operation after the other, each coordinated by some node."""

    def __init__(
        self, seed: int, size: int, nodes: int, trouble: Trouble, rules: Rules, danger: float
    ) -> None:
        super().__init__(seed, size, trouble)
        self.rules = rules
        self.danger = danger
        self.books = {name: Book() for name in self.members}
        self.snapshots: dict[int, dict[str, Book]] = {}
        self.restored_epoch = 0
        self._nodes = {name: number % nodes for number, name in enumerate(self.members)}
        self._fence = 0

    # ---- one operation ----

    def cut(self, epoch: int) -> bool:
        """Takes a checkpoint; whether it exists."""
        self.snapshots[epoch] = {}
        operation = CheckpointOperation(epoch, self.members, name=f"c{epoch}", budgets=BUDGETS)
        self._operate(operation)
        return epoch in self.recorded

    def go_back(self, epoch: int, target: int) -> None:
        """Restores a checkpoint."""
        for member in self.members.values():
            member.restored, member.restored_at = None, -1
        self._operate(RestoreOperation(epoch, self.members, target=target, budgets=BUDGETS))

    def _operate(self, operation: Operation) -> None:
        self._sealed: set[str] = set()
        self._cut_off: set[int] = set()
        self._here = self.random.randrange(max(self._nodes.values()) + 1)
        for _ in range(30):
            self.after(self.random.randrange(400), self.move_money)
        if self.random.random() < self.danger:
            self.after(self.random.randrange(1, 300), self.lose_coordinator)
        for node in set(self._nodes.values()) - {self._here}:
            if self.random.random() < self.danger:
                self.after(self.random.randrange(1, 300), lambda n=node: self.lose_link(n))
        self.run(operation)
        self.come_again(operation.epoch)

    def come_again(self, epoch: int) -> None:
        """Whoever is in doubt or behind attaches anew, and is told where the group is."""
        for name, member in self.members.items():
            member.connected = True
            if member.prepared:
                self.ask_catalog(member)
            if self.rules.the_late_catch_up and self.books[name].lineage < self.restored_epoch:
                self.follow(name)
            if member.held or member.state == "void":
                member.state = "idle"

    # ---- what goes wrong ----

    def lose_coordinator(self) -> None:
        if isinstance(self.operation, _Gone) or self.operation.finished:
            return
        self.operation = _Gone(self.operation)  # type: ignore[assignment]
        self.finished = self.finished or None
        for node in set(self._nodes.values()):
            self.after(self.random.randrange(1, 150), lambda n=node: self.abandon(n))

    def lose_link(self, node: int) -> None:
        """Neither end knows at once."""
        if self.operation.finished or node in self._cut_off:
            return
        self._cut_off.add(node)
        self.after(self.random.randrange(1, 150), lambda: self.abandon(node))
        self.after(self.random.randrange(1, 150), lambda: self.give_up(node))

    def give_up(self, node: int) -> None:
        for name in self._of(node):
            self.effect(self.operation.lose(name, self.now))

    def abandon(self, node: int) -> None:
        """The rules of mmsnap.node.relay."""
        epoch = self.operation.epoch
        for name in self._of(node):
            member = self.members[name]
            if name in self._sealed and self.rules.sealed_ones_ask:
                if member.prepared == epoch:
                    self.after(self.random.randrange(1, 50), lambda m=member: self.ask_catalog(m))
            else:
                member.obey(m.Abort(epoch), self.now, False)

    def ask_catalog(self, member: Member) -> None:
        if not member.prepared:
            return
        committed = member.prepared in self.recorded
        if not committed and self.rules.settling_fences:
            self._fence = max(self._fence, member.prepared)
        member.settle(committed)

    # ---- the world's own, with nodes ----

    def deliver(self, name: str, order: m.Order) -> None:
        if self._is_cut_off(name) or isinstance(self.operation, _Gone):
            return
        member = self.members[name]
        super().deliver(name, order)
        epoch = self.operation.epoch
        if isinstance(order, (m.Quiesce, m.Cut)) and member.cut_at.get(epoch) == self.now:
            self.snapshots[epoch].setdefault(name, deepcopy(self.books[name]))
        if isinstance(order, m.Resume) and member.state == "sealed":
            self._sealed.add(name)
        if isinstance(order, m.Restore) and member.restored == order.target and member.held:
            self.follow(name, order.target, epoch)

    def hear(self, name: str, report: m.EpochReport) -> None:
        if not self._is_cut_off(name):
            super().hear(name, report)

    def decide(self) -> None:
        epoch = self.operation.epoch
        if self.rules.commits_are_fenced and epoch <= self._fence:
            self.effect(self.operation.answer(False, self.now))
            return
        super().decide()
        if epoch in self.recorded and hasattr(self.operation, "target"):
            self.restored_epoch = epoch

    # ---- money ----

    def move_money(self) -> None:
        giver, taker = self.random.sample(sorted(self.members), 2)
        if self.members[giver].held and self.rules.held_ones_stand_still:
            self.after(7, self.move_money)
            return
        book = self.books[giver]
        book.sent[taker] = total = book.sent.get(taker, 0) + self.random.randrange(1, 100)
        self.after(
            self.random.randrange(1, 60),
            lambda lineage=book.lineage: self.take_money(taker, giver, total, lineage),
        )

    def take_money(self, taker: str, giver: str, total: int, lineage: int) -> None:
        if self.members[taker].held and self.rules.held_ones_stand_still:
            self.after(7, lambda: self.take_money(taker, giver, total, lineage))
            return
        book = self.books[taker]
        if book.lineage == lineage:
            book.got[giver] = max(book.got.get(giver, 0), total)

    def follow(self, name: str, target: int | None = None, epoch: int | None = None) -> None:
        then = self.snapshots[self.head if target is None else target][name]
        lineage = self.restored_epoch if epoch is None else epoch
        self.books[name] = Book(dict(then.sent), dict(then.got), lineage)

    def judge(self) -> None:
        """In every checkpoint there is, everybody has a part, and nobody got what was not sent."""
        for epoch in self.recorded & self.snapshots.keys():
            books = self.snapshots[epoch]
            assert books.keys() == self.members.keys(), f"@{epoch} lacks members"
            for taker, book in books.items():
                for giver, total in book.got.items():
                    sent = books[giver].sent.get(taker, 0)
                    assert total <= sent, f"@{epoch}: {taker} got {total} of {giver}'s {sent}"
        for name, member in self.members.items():
            assert not member.held, f"{name} was left held"
            missing = (self.recorded & self.snapshots.keys()) - set(member.committed)
            assert not missing, f"{name} has no {missing}"
            extra = set(member.committed) - self.recorded
            assert not extra, f"{name} applied {extra}, which nobody recorded"

    def _is_cut_off(self, name: str) -> bool:
        return self._nodes[name] in self._cut_off

    def _of(self, node: int) -> list[str]:
        return [name for name, at in self._nodes.items() if at == node]


def play(seed: int, rules: Rules, operations: int = 8) -> int:
    """A bank through some operations; returns how many checkpoints there are at the end."""
    trouble = Trouble(drop=0.01, duplicate=0.05, slow=0.02, refusal=0.02, failure=0.01)
    world = BankWorld(seed, 2 + seed % 5, 1 + seed % 3, trouble, rules, danger=0.25)
    for epoch in range(1, operations + 1):
        done = sorted(world.recorded & world.snapshots.keys())
        if done and world.random.random() < 0.25:
            world.go_back(epoch, world.random.choice(done))
        else:
            world.cut(epoch)
        world.judge()
    return len(world.recorded & world.snapshots.keys())
