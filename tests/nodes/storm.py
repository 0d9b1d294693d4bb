"""Cuts without a pause while machines, networks and members fail: what is kept is of one instant.

Three hosts with a node and a member of etcd each, a bank of six. Whoever asks goes from node to
node; faults come in between and go after a while. Now and then it is calm: then everybody has to be
there again, and every checkpoint is read back.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import mmsnap
from mmsnap.errors import MmsnapError
from tests.debian import require_packages
from tests.nodes.hosts import Host, hosts
from tests.nodes.site import Bank, Cluster, await_true, bank, cluster

MEMBERS = 6
_CALM_SECONDS = 60.0
_KEPT = 3


class Storm:
    """Of one seed. `deadly`: services are killed, too, not only stopped and cut off."""

    def __init__(
        self, nodes: Cluster, members: Bank, machines: list[Host], seed: int, *, deadly: bool
    ) -> None:
        self.nodes = nodes
        self.members = members
        self.cuts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._machines = machines
        self._chance = random.Random(seed)
        self._number = 0
        self._promised: set[str] = set()
        self._refusal = ""
        self._faults: list[Callable[[], None]] = [
            self._stop_service,
            self._cut_off,
            self._lose_packets,
            self._kill_etcd,
            self._kill_member,
            self._stop_member,
        ]
        if deadly:
            self._faults += [self._kill_service] * 2

    def blow(self, cuts: int) -> None:
        """So many cuts, and a calm after them."""
        over = threading.Event()
        asking = threading.Thread(target=self._ask, args=(cuts, over))
        asking.start()
        try:
            while not over.is_set():
                fault = self._chance.choice(self._faults)
                self.faults[fault.__name__.strip("_")] += 1
                fault()
                over.wait(self._chance.uniform(0.2, 2.0))
        finally:
            over.set()  # who asks would go on for ever, and keep the tests from ending
            asking.join()
        assert self._begun == cuts, "who asked failed"
        self._calm()

    # ---- what is asked ----

    def _ask(self, cuts: int, over: threading.Event) -> None:
        """Counted is what began: that nobody answered is no cut."""
        chance = random.Random(self._chance.random())
        self._begun = 0
        try:
            while self._begun < cuts and not over.is_set():
                self._ask_once(chance)
        finally:
            over.set()

    def _ask_once(self, chance: random.Random) -> None:
        self._number += 1
        node = chance.choice(self.nodes.nodes)
        try:
            with mmsnap.Client(node.address) as client:
                self._one(client, chance)
            self._begun += 1
        except (MmsnapError, TimeoutError) as error:
            has_begun = "was aborted" in str(error)
            self.cuts["aborted" if has_begun else "not begun"] += 1
            self._begun += has_begun
            time.sleep(0.1)

    def _one(self, client: mmsnap.Client, chance: random.Random) -> None:
        if chance.random() < 0.1:
            listed = client.checkpoints("bank")
            if listed:
                client.restore("bank", f"@{chance.choice(listed).epoch}")
                self.cuts["restored"] += 1
            return
        name = f"cut-{self._number}"
        client.checkpoint("bank", name, automatic=True, replicas=chance.randrange(2), timeout="5s")
        self.cuts["committed"] += 1
        self._promised.add(name)

    # ---- when it is calm ----

    def _calm(self) -> None:
        for number in range(MEMBERS):
            if self.members.members[f"m{number}"].poll() is not None:
                self.members.start(number)
        name = f"calm-{self._number}"
        await_true(lambda: self.can_create(name), "a checkpoint when it is calm", _CALM_SECONDS)
        assert self.members.all_run()
        with mmsnap.Client(self.nodes.nodes[0].address) as client:
            listed = client.checkpoints("bank")
            missing = self._promised - {each.name for each in listed}
            assert not missing, f"{missing} were promised"
            for each in listed:
                self.members.check(each.epoch)
            client.prune("bank", keep_last=_KEPT)
        self._promised = set()

    def can_create(self, name: str) -> bool:
        """Whether a checkpoint is taken and replicated now."""
        try:
            with mmsnap.Client(self.nodes.nodes[0].address) as client:
                client.checkpoint("bank", name, automatic=True, wait="replicated", timeout="20s")
        except FileExistsError:
            return True
        except (MmsnapError, TimeoutError) as error:
            self._refusal = str(error)
            return False
        return True

    def tell(self) -> None:
        """What there was, and what is wrong now."""
        print(f"cuts: {dict(self.cuts)}\nfaults: {dict(self.faults)}\nlast: {self._refusal}")
        for node in self.nodes.nodes:
            print(f"---- {node.name}\n{node.mmsnap('ps').stdout}\n{node.log[-2500:]}")

    # ---- faults ----

    def _stop_service(self) -> None:
        node = self._chance.choice(self.nodes.nodes)
        node.stop()
        time.sleep(self._chance.uniform(0.1, 4.0))
        node.go_on()

    def _kill_service(self) -> None:
        node = self._chance.choice(self.nodes.nodes)
        node.kill()
        time.sleep(self._chance.uniform(0.0, 1.0))
        node.start()

    def _cut_off(self) -> None:
        with self._dropping(""):
            time.sleep(self._chance.uniform(0.1, 4.0))

    def _lose_packets(self) -> None:
        with self._dropping("numgen random mod 100 < 20"):
            time.sleep(self._chance.uniform(0.5, 3.0))

    @contextmanager
    def _dropping(self, which: str) -> Iterator[None]:
        """A host does not get what others send it, or only some of it."""
        inside = self._chance.choice(self._machines).inside
        table = 'table inet storm { chain in { type filter hook input priority 0; iifname "eth0" '
        rules = f"{table}{which} drop; }}; }}"
        subprocess.run([*inside, "nft", rules], check=True)
        try:
            yield
        finally:
            subprocess.run([*inside, "nft", "delete", "table", "inet", "storm"], check=True)

    def _kill_etcd(self) -> None:
        number = self._chance.randrange(3)
        self.nodes.etcd.kill(number)
        time.sleep(self._chance.uniform(0.0, 2.0))
        self.nodes.etcd.start(number)

    def _kill_member(self) -> None:
        number = self._chance.randrange(MEMBERS)
        if self._signal(number, signal.SIGKILL):
            self.members.members[f"m{number}"].wait(20)
            time.sleep(self._chance.uniform(0.0, 1.0))
            self.members.start(number)

    def _stop_member(self) -> None:
        number = self._chance.randrange(MEMBERS)
        if self._signal(number, signal.SIGSTOP):
            time.sleep(self._chance.uniform(0.1, 1.5))
            self._signal(number, signal.SIGCONT)

    def _signal(self, number: int, what: int) -> bool:
        pid = self.members.pid_of(number)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, what)
        return bool(pid)


@contextmanager
def storm(seed: int, *, deadly: bool) -> Iterator[Storm]:
    """Over three hosts of its own. Only for root."""
    require_packages(["nftables"])
    with hosts(3) as machines, cluster(3, machines) as nodes, bank(nodes.nodes, MEMBERS) as members:
        made = Storm(nodes, members, machines, seed, deadly=deadly)
        # Without a head the others have nothing to return to when a member is lost.
        assert made.can_create("first")
        try:
            yield made
        except BaseException:
            made.tell()
            raise
