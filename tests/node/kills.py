"""Random kills of members, of the service, and of both, at any moment of an operation.

A hunt is made of rounds. In each, checkpoints and restores are asked for without a pause
until somebody is killed; then everything is started again, and judged from outside: by the
bytes that the checkpoints keep and the stamps that the workers logged.
"""

from __future__ import annotations

import random
import threading
import time

from mmsnap.errors import MmsnapError
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import GroupCheckpoint
from tests.node.pool_site import Site

MEMBERS = ("a", "b", "c")
KEEP = 12
VICTIMS: tuple[tuple[str, ...], ...] = (
    ("a",),
    ("b",),
    ("b", "c"),
    MEMBERS,
    ("agent",),
    ("agent",),
    ("agent", "c"),
    ("agent", *MEMBERS),
)


class Orders(threading.Thread):
    """Asks for checkpoints and restores until told to stop, or nobody answers."""

    def __init__(self, address: str, seed: int) -> None:
        super().__init__()
        self.address = address
        self.chance = random.Random(seed)
        self.enough = threading.Event()
        self.returned: list[int] = []
        self.head: int | None = None  # as of the last call that returned; None: not known
        self.unexpected: Exception | None = None

    def run(self) -> None:
        with Client(self.address) as client:
            while not self.enough.is_set():
                try:
                    self._order(client)
                except MmsnapError:
                    self.head = None
                except Exception as error:
                    self.unexpected = error
                    return

    def _order(self, client: Client) -> None:
        known = client.checkpoints("g")
        if known and self.chance.random() < 0.2:
            self.head = client.restore("g", f"@{self.chance.choice(known).epoch}").epoch
            return
        if len(known) > KEEP:
            oldest = next(one for one in known if not one.head)
            client.delete_checkpoint("g", f"@{oldest.epoch}")
        self.head = client.checkpoint("g").epoch
        self.returned.append(self.head)


class Hunt:
    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.chance = random.Random(seed)
        self.judged: set[int] = set()
        site.start_agent()
        site.start_workers(*MEMBERS)
        site.client.checkpoint("g")

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self._round()

    def _round(self) -> None:
        orders = Orders(self.site.address, self.chance.randrange(1 << 30))
        before = {one.epoch for one in self.site.client.checkpoints("g")}
        orders.start()
        time.sleep(self.chance.uniform(0.0, 0.12))
        victims = self.chance.choice(VICTIMS)
        logs = dict(self.site.workers)
        self._kill(victims)
        orders.enough.set()
        orders.join(60)
        assert not orders.is_alive()
        assert orders.unexpected is None, orders.unexpected
        self._start_again(victims)
        self._judge(orders, before, logs)

    def _kill(self, victims: tuple[str, ...]) -> None:
        order = list(victims)
        self.chance.shuffle(order)
        for victim in order:
            if victim == "agent":
                self.site.kill_agent()
            else:
                self.site.kill_workers(victim)

    def _start_again(self, victims: tuple[str, ...]) -> None:
        if "agent" in victims:
            self.site.start_agent()
        self.site.start_workers(*(victim for victim in victims if victim != "agent"))
        self.site.until(self.site.all_attached, "everybody is back", within=30)

    def _judge(self, orders: Orders, before: set[int], logs: dict[str, object]) -> None:
        now = {one.epoch: one for one in self.site.client.checkpoints("g")}
        newest = max(before | set(orders.returned))
        deleted = len(before | set(orders.returned)) - len(now)
        assert newest in now, "what was reported committed is gone"
        assert deleted <= len(before), "more is gone than was deleted"
        head = next(one.epoch for one in now.values() if one.head)
        if orders.head is not None:
            assert head == orders.head, "the head is not where the last call left it"
        for one in now.values():
            if one.epoch not in before:
                self._judge_checkpoint(one, logs)
        self.site.client.verify("g")
        counts = {name: self._count(name) for name in MEMBERS}
        self.site.until(
            lambda: all(self._count(name) > counts[name] for name in MEMBERS),
            "everybody works",
        )

    def _judge_checkpoint(self, one: GroupCheckpoint, logs: dict[str, object]) -> None:
        """Whole, and one instant: as far as a member wrote anything since the parent."""
        kept = {name: self.site.kept(name, one.epoch) for name in MEMBERS}
        lost = []
        for name in MEMBERS:
            stamps = logs[name].stamps()  # type: ignore[attr-defined]
            at = stamps.searchsorted(kept[name])
            wrote_it = at < stamps.size and stamps[at] == kept[name]
            if wrote_it and self._parents(one, name) != kept[name] and at + 1 < stamps.size:
                lost.append(int(stamps[at + 1]))
        if lost:
            assert max(kept.values()) <= min(lost), f"@{one.epoch} is not one instant"

    def _parents(self, one: GroupCheckpoint, name: str) -> int | None:
        known = {other.epoch for other in self.site.client.checkpoints("g")}
        return self.site.kept(name, one.parent) if one.parent in known else -1

    def _count(self, name: str) -> int:
        count: int = self.site.workers[name].ask("show")["count"]
        return count
