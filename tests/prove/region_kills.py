"""Random SIGKILLs of a process that checkpoints and restores a region as fast as it can.

The victim changes the region from one thread, inside updates, and checkpoints, restores and
deletes from another. Page 0 is a ledger that tells how often each byte value fills one of the
other pages, so that any mixture of two moments shows in itself. Before and after each order it
says so through a pipe; when it is killed, what it said tells what must be found.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmsnap.memory import Region

PAGE = 4096
PAGES = 1024
SIZE = PAGES * PAGE
KEEP = 8
LIFE_MAX_S = 0.15
Pages = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def pages_of(region: Region) -> Pages:
    return np.frombuffer(region.memory(0, SIZE), np.uint8).reshape(PAGES, PAGE)


def ledger_of(pages: Pages) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return pages[0, : 256 * 8].view(np.int64)


def open_region(pool: Path) -> Region:
    region = Region.open(pool, "r", size_bytes=SIZE)
    region.grow(SIZE)
    return region


# ---- the victim ----------------------------------------------------------------------------


class Writer(threading.Thread):
    """Fills random pages with one value each, and corrects the ledger, an update at a time."""

    def __init__(self, region: Region, seed: int) -> None:
        super().__init__(daemon=True)
        self.region, self.chance = region, np.random.default_rng(seed)

    def run(self) -> None:
        pages = pages_of(self.region)
        ledger = ledger_of(pages)
        while True:
            chosen = self.chance.integers(1, PAGES, int(self.chance.choice([1, 5, 60])))
            value = int(self.chance.integers(1, 256))
            with self.region.guard:
                for page in chosen:
                    ledger[pages[page, 0]] -= 1
                    pages[page] = value
                    ledger[value] += 1


def be_the_victim(pool: Path, seed: int, told: int) -> None:
    """Says "?" and an order before it, "!" and what came of it after it. Never returns."""
    chance = random.Random(seed)

    def say(line: str) -> None:
        os.write(told, f"{line}\n".encode())

    say("? open 0")
    region = open_region(pool)
    pages = pages_of(region)
    if not ledger_of(pages).any():
        ledger_of(pages)[0] = PAGES - 1
    say("! open 0")
    Writer(region, seed).start()
    while True:
        records = region.checkpoints()
        kind = chance.random()
        if records and kind < 0.2:
            target = chance.choice(records).epoch
            say(f"? restore {target}")
            region.restore(target)
            say(f"! restore {target}")
        elif len(records) > KEEP or (len(records) > 2 and kind < 0.3):
            head = region.head
            target = chance.choice([one for one in records if head and one.epoch != head.epoch])
            say(f"? delete {target.epoch}")
            region.delete(target.epoch)
            say(f"! delete {target.epoch}")
        elif kind < 0.35:
            say("? settle 0")
            region.settle()
            say("! settle 0")
        else:
            say("? checkpoint 0")
            say(f"! checkpoint {region.checkpoint().epoch}")


# ---- the judge ------------------------------------------------------------------------------


@dataclass
class Found:
    """What must be there, as of what the victims said."""

    head: int = 0
    kept: set[int] = field(default_factory=set)
    digests: dict[int, str] = field(default_factory=dict)

    def hear(self, lines: list[str]) -> tuple[str, int]:
        """Takes in what was said; returns the order under way, ("", 0) if there was none."""
        under_way = ("", 0)
        for line in lines:
            mark, order, number = line.split()
            if mark == "?":
                under_way = (order, int(number))
                continue
            under_way = ("", 0)
            if order in ("checkpoint", "restore"):
                self.head = int(number)
            if order == "checkpoint":
                self.kept.add(int(number))
            if order == "delete":
                self.kept.discard(int(number))
        return under_way


@dataclass
class Tally:
    kills: int = 0
    by_order: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    opens_ns: list[int] = field(default_factory=list)

    def table(self) -> list[str]:
        opens = sorted(self.opens_ns)
        lines = [f"{'under way when killed':24} kills"]
        lines += [f"{order:24} {count:5}" for order, count in self.by_order.most_common()]
        lines.append(f"{'all':24} {self.kills:5}")
        median_ms, worst_ms = opens[len(opens) // 2] / 1e6, opens[-1] / 1e6
        lines.append(f"orders carried out: {self.orders}")
        lines.append(f"open after a kill: median {median_ms:.1f} ms, slowest {worst_ms:.1f} ms")
        return lines


def check_whole(pages: Pages, what: str) -> None:
    """The ledger is right, and each page is of one value."""
    assert (pages[1:] == pages[1:, :1]).all(), f"{what}: a page is torn"
    counted = np.bincount(pages[1:, 0], minlength=256)
    if not ledger_of(pages).any():
        assert not pages.any(), f"{what}: pages without a ledger"
        return
    np.testing.assert_array_equal(ledger_of(pages), counted, f"{what}: pages of two moments")


def judge(pool: Path, found: Found, under_way: tuple[str, int], tally: Tally) -> None:
    start = time.perf_counter_ns()
    region = open_region(pool)
    tally.opens_ns.append(time.perf_counter_ns() - start)
    order, number = under_way
    head = region.head.epoch if region.head else 0
    kept = {record.epoch for record in region.checkpoints()}
    missing, extra = found.kept - kept, kept - found.kept
    assert missing <= ({number} if order == "delete" else set()), f"@{missing} are gone"
    assert len(extra) <= (order == "checkpoint"), f"@{extra} were deleted or never taken"
    heads = {found.head} | extra | ({number} if order == "restore" else set())
    assert head in heads, f"the head is @{head}, not one of {heads}, killed in {under_way}"
    check_whole(pages_of(region), f"the head @{head}")
    region.verify()
    region.close()
    for epoch in kept:
        reader = Region.open(pool, "r", mode="r", head=epoch)
        check_whole(pages_of(reader), f"@{epoch}")
        digest = hashlib.blake2b(pages_of(reader).tobytes()).hexdigest()
        assert found.digests.setdefault(epoch, digest) == digest, f"@{epoch} has changed"
        reader.close()
    found.head, found.kept = head, kept


def kill_one(pool: Path, seed: int, found: Found, tally: Tally) -> None:
    chance = random.Random(seed)
    told, tell = os.pipe()
    victim = os.fork()
    if victim == 0:
        os.close(told)
        try:
            be_the_victim(pool, seed, tell)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(tell)
    time.sleep(chance.random() ** 2 * LIFE_MAX_S)
    os.kill(victim, signal.SIGKILL)
    status = os.waitpid(victim, 0)[1]
    with os.fdopen(told) as lines:
        said = lines.read().splitlines()
    ended = os.waitstatus_to_exitcode(status)
    assert ended == -signal.SIGKILL, f"the victim ended with {ended} after {said[-3:]}"
    under_way = found.hear(said)
    tally.kills += 1
    tally.by_order[under_way[0] or ("nothing" if said else "nothing yet")] += 1
    tally.orders += sum(line.startswith("!") for line in said)
    judge(pool, found, under_way, tally)


def hunt(pool: Path, seed: int, kills: int, until: float = float("inf")) -> Tally:
    """Kills and judges; ``until`` is a time of time.monotonic() to end at all the same."""
    found, tally = Found(), Tally()
    for number in range(kills):
        try:
            kill_one(pool, seed * 1_000_000 + number, found, tally)
        except BaseException as error:
            error.add_note(f"seed {seed}, kill {number}")
            raise
        if time.monotonic() > until:
            break
    return tally
