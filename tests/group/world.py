"""A seeded world for the group protocol: a hostile network, members, a catalog.

The members follow the rules of native/src/member.c. The network drops, delays,
duplicates and so reorders; members die. What happened is judged from outside,
by what the members did and the catalog recorded, never by asking the machine.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mmsnap.group import Budgets, Decide, Expel, Finished, Operation, Send
from mmsnap.group import messages as m

BUDGETS = Budgets(
    lease_ns=200, hooks_ns=100, begin_ns=400, quiesce_ns=150, answer_ns=50, cut_ns=400,
    seal_ns=400, restore_ns=400,
)  # fmt: skip
MANNERS = ("quick", "slow", "old")
Order = m.Order
Report = m.EpochReport


@dataclass
class Trouble:
    """How hostile the world is; every figure a probability per message or per member."""

    drop: float = 0.0
    duplicate: float = 0.0
    slow: float = 0.0  # delays that reach past leases and budgets
    death: float = 0.0
    refusal: float = 0.0  # of the catalog
    failure: float = 0.0  # of an order, at a member


@dataclass
class Member:
    """The rules of native/src/member.c, with the reasons left out."""

    name: str
    manner: str = "quick"  # or "slow": says Held before it cuts; "old": cuts on another order only
    seen: int = 0
    state: str = "idle"  # idle, begun, held, cut, sealed
    epoch: int = 0
    lease_ends: int = 0
    alive: bool = True
    connected: bool = True
    restored: int | None = None
    restored_at: int = -1
    committed: list[int] = field(default_factory=list)
    prepared: int = 0
    hold_began: int = -1
    cut_at: dict[int, int] = field(default_factory=dict)
    held_until: dict[int, int] = field(default_factory=dict)  # released by Resume
    thawed_at: dict[int, int] = field(default_factory=dict)  # released by the lease

    @property
    def held(self) -> bool:
        return self.state in ("held", "cut")

    def expire(self, now: int) -> None:
        if self.held and now >= self.lease_ends:
            self.thawed_at[self.epoch] = now
            self.state = "void"

    def obey(self, order: Order, now: int, fails: bool) -> list[Report]:
        self.expire(now)
        epoch = getattr(order, "epoch", 0)
        match order:
            case m.Begin() | m.Quiesce() if self.prepared and epoch != self.prepared:
                return [self.failed(order)]
            case m.Begin() | m.Quiesce() if epoch > self.seen:
                self.seen = self.epoch = epoch
                if isinstance(order, m.Quiesce):
                    return self.hold(order, now, fails)
                self.state = "begun"
                return [self.failed(order)] if fails else [m.Ready(epoch, 1, 0)]
            case m.Begin() if epoch < self.seen:
                return [m.Failed(epoch, m.Kind.BEGIN, 12, "fenced")]
            case m.Quiesce() if epoch == self.epoch and self.state == "begun":
                return self.hold(order, now, fails)
            case m.Cut() if epoch == self.epoch and self.state == "held":
                if fails:
                    return [self.failed(order)]
                self.lease_ends = now + order.lease_ns
                return self.cut(now)
            case m.Renew() if epoch == self.epoch and self.held:
                self.lease_ends = now + order.lease_ns
            case m.Restore() if epoch == self.epoch and self.state == "held":
                if fails:
                    return [self.failed(order)]
                self.lease_ends = now + order.lease_ns
                self.restored = order.target
                self.restored_at = self.restored_at if self.restored_at >= 0 else now
                return [m.Done(epoch, m.Kind.RESTORE)]
            case m.Resume() if epoch == self.epoch:
                return self.resume(now)
            case m.Commit() if epoch == self.prepared:
                self.settle(True)
                return [m.Done(epoch, m.Kind.COMMIT)]
            case m.Abort():
                if epoch > self.seen:
                    self.seen = epoch
                    if not self.prepared:
                        self.epoch, self.state = epoch, "idle"
                elif epoch == self.epoch:
                    self.settle(False)
        return []

    def hold(self, order: m.Quiesce, now: int, fails: bool) -> list[Report]:
        if fails:
            self.state = "idle"
            return [self.failed(order)]
        self.state = "held"
        self.hold_began = now
        self.lease_ends = now + order.lease_ns
        if not order.cut or self.manner == "old":
            return [m.Held(self.epoch, 0)]
        held = [m.Held(self.epoch, 0, copying=True)] if self.manner == "slow" else []
        return [*held, *self.cut(now)]

    def cut(self, now: int) -> list[Report]:
        self.state = "cut"
        self.cut_at[self.epoch] = now
        return [m.CutDone(self.epoch, 1, 4096, 1)]

    def resume(self, now: int) -> list[Report]:
        if self.state == "void":
            return [m.Void(self.epoch)]
        if self.held:
            self.held_until[self.epoch] = now
            self.prepared = self.epoch if self.state == "cut" else 0
            self.state = "sealed"
            return [m.Sealed(self.epoch, now - self.hold_began, 1, 4096, False, 0)]
        return []

    def settle(self, committed: bool) -> None:
        if committed:
            self.committed.append(self.prepared)
        self.prepared = 0
        self.state = "idle"

    def failed(self, order: m.Begin | m.Quiesce | m.Cut | m.Restore) -> Report:
        return m.Failed(order.epoch, m.Kind[type(order).__name__.upper()], 5, "pool is full")


class World:
    """Runs one operation at a time to its end, and past it until nothing is under way."""

    def __init__(self, seed: int, size: int, trouble: Trouble) -> None:
        self.random = random.Random(seed)
        self.trouble = trouble
        self.now = 0
        self.members = {f"m{i}": Member(f"m{i}", MANNERS[i % 3]) for i in range(size)}
        self.recorded: set[int] = set()
        self.head = 0
        self.recorded_at = 0
        self.finished: Finished | None = None
        self.trace: list[str] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self._arrived: dict[str, int] = {}  # when the last order of a line comes

    def run(self, operation: Operation, *, drain: bool = True, limit: int = 20_000) -> None:
        """Drive it until it finished and every message, lease and death has played out.

        Without `drain` what is under way at its end stays so, into the next operation.
        """
        self.finished = None
        self.operation = operation
        for member in self.members.values():
            if self.random.random() < self.trouble.death:
                self.after(self.random.randrange(400), lambda member=member: self.die(member))
        self.effect(operation.start(self.now))
        for _ in range(limit):
            if not drain and self.operation.finished:
                return
            deadline = self.operation.deadline_ns
            if self._queue and (deadline is None or self._queue[0][0] <= deadline):
                self.now, _, happen = heapq.heappop(self._queue)
                self.expire()
                happen()
            elif deadline is not None:
                self.now = max(self.now, deadline)
                self.expire()
                self.effect(self.operation.tick(self.now))
            else:
                break
        else:
            raise AssertionError("the operation never ends")
        self.now += BUDGETS.lease_ns
        self.expire()

    def settle(self) -> None:
        """Every member in doubt attaches again and asks the catalog."""
        for member in self.members.values():
            if member.prepared:
                member.settle(member.prepared in self.recorded)

    def effect(self, effects: list[object]) -> None:
        for effect in effects:
            match effect:
                case Send(kind, members):
                    for name in members:
                        order = self.operation.order(kind, name)
                        self.carry(lambda n=name, o=order: self.deliver(n, o), line=name)
                case Decide():
                    self.after(self.random.randrange(1, 60), self.decide)
                case Expel(name):
                    self.members[name].connected = False
                    self.members[name].state = "idle"
                case Finished():
                    assert self.finished is None, "finished twice"
                    self.finished = effect

    def carry(self, deliver: Callable[[], None], line: str = "") -> None:
        """Some are lost, some come twice, some very late; the others of a line keep their order."""
        copies = 0 if self.random.random() < self.trouble.drop else 1
        copies += self.random.random() < self.trouble.duplicate
        for _ in range(copies):
            far = self.random.random() < self.trouble.slow
            delay = self.random.randrange(1, 700 if far else 20)
            if line and not far:
                self._arrived[line] = max(self._arrived.get(line, 0), self.now + delay)
                delay = self._arrived[line] - self.now
            self.after(delay, deliver)

    def deliver(self, name: str, order: Order) -> None:
        member = self.members[name]
        if not (member.alive and member.connected):
            return
        fails = self.random.random() < self.trouble.failure
        reports = member.obey(order, self.now, fails)
        self.trace.append(f"{self.now} {name} {order} -> {member.state} {reports}")
        for report in reports:
            self.carry(lambda r=report: self.hear(name, r))

    def hear(self, name: str, report: Report) -> None:
        self.effect(self.operation.receive(name, report, self.now))

    def decide(self) -> None:
        accepted = self.random.random() >= self.trouble.refusal
        if accepted:
            self.recorded.add(self.operation.epoch)
            self.recorded_at = self.now
            self.head = getattr(self.operation, "target", self.operation.epoch)
        self.effect(self.operation.answer(accepted, self.now))

    def die(self, member: Member) -> None:
        member.alive = False
        self.effect(self.operation.lose(member.name, self.now))

    def after(self, delay: int, happen: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (self.now + delay, self._serial, happen))

    def expire(self) -> None:
        for member in self.members.values():
            if member.alive:
                member.expire(self.now)
