"""One worker process: reads its share of the stream, hears its peers, reports to the conductor.

    python -m mmsnap.demo.worker MEMBER --folder DIR --rate N [--pool DIR]

As a member of a group it is found by MMSNAP_ADDRESS, MMSNAP_GROUP and MMSNAP_MEMBER, and cut by the
node service. With --pool it stands alone and takes checkpoints of itself when it is told to.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Final

import numpy as np

import mmsnap
from mmsnap.demo.dialogue import Cut, Order, Progress, Ready, Report, encode
from mmsnap.demo.link import Receiver, Sender
from mmsnap.demo.stream import MEMBERS
from mmsnap.demo.tally import Tally

STREAM_FILE: Final = "stream.npy"
_REGION_BYTES: Final = 256 << 20
_TICK_SECONDS: Final = 0.005
_REPORT_SECONDS: Final = 0.05
_ORDERS_BYTES: Final = 4096
_KEPT: Final = 3  # of checkpoints of itself


class Worker:
    """The process with its state, its links and its orders; single-threaded."""

    def __init__(self, member: str, folder: Path, rate: float, pool: Path | None) -> None:
        self._rate = rate
        self._app, self._tally, memory_ns = _remember(member, folder, pool)
        self._selector = DefaultSelector()
        self._connect(MEMBERS.index(member), folder)
        self._selector.register(sys.stdin, EVENT_READ, self._obey)
        self._begin: tuple[float, int] | None = None  # when, and how many flights it had
        self._finished = False
        self._reported_at = 0.0
        restored = self._app.restored
        epoch = None if restored is None else restored.epoch
        _say(Ready(epoch, memory_ns, self._tally.taken))

    def run(self) -> None:
        """Works until it is told to finish, or the conductor is gone."""
        tick_at = time.monotonic()
        while not self._finished:
            for key, _ in self._selector.select(max(0.0, tick_at - time.monotonic())):
                key.data()
            if time.monotonic() >= tick_at:
                behind = self._tick()
                tick_at = time.monotonic() + (0.0 if behind else _TICK_SECONDS)
        self._app.close()

    def _tick(self) -> bool:
        """Sends, reads flights and reports; whether there is more to read already."""
        # What is read in one tick is sent in the next: every cut finds messages under way.
        for sender in self._senders:
            sender.send()
        behind = self._tally.take(self._due())
        self._report()
        return behind

    def _connect(self, me: int, folder: Path) -> None:
        tally, paths = self._tally, [folder / f"{member}.sock" for member in MEMBERS]
        self._receiver = Receiver(paths[me], tally.heard, tally.receive, self._selector)
        self._senders = [
            Sender(path, me, tally.outboxes[peer], partial(tally.confirm, peer), self._selector)
            for peer, path in enumerate(paths)
            if peer != me
        ]

    def _due(self) -> int:
        if self._begin is None:
            return 0
        begun_at, had = self._begin
        return had + int((time.monotonic() - begun_at) * self._rate)

    def _obey(self) -> None:
        orders = os.read(sys.stdin.fileno(), _ORDERS_BYTES).decode().split()
        if not orders:
            self._finished = True
        for order in orders:
            match Order(order):
                case Order.GO:
                    self._begin = time.monotonic(), self._tally.taken
                case Order.CHECKPOINT:
                    taken = self._app.checkpoint()
                    _say(Cut(taken.epoch, taken.pause_ns, taken.bytes_written))
                case Order.FINISH:
                    self._finished = True

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            resent = sum(sender.resent for sender in self._senders)
            tally = self._tally
            _say(Progress(tally.taken, tally.idle, resent, tally.missing))


def _remember(member: str, folder: Path, pool: Path | None) -> tuple[mmsnap.App, Tally, int]:
    """The worker's memory, and how many nanoseconds it took to get it."""
    flights = np.load(folder / STREAM_FILE, mmap_mode="r")
    attach = mmsnap.attach  # loads gRPC, which is no part of the memory's way back
    begun_ns = time.perf_counter_ns()
    if pool is None:
        # The conductor kills all members: there is nobody left to be rolled back.
        app = attach(size=_REGION_BYTES, on_loss="wait")
    else:
        app = mmsnap.open(pool, member, size=_REGION_BYTES, keep_last=_KEPT)
    tally = Tally(app, MEMBERS.index(member), flights)
    return app, tally, time.perf_counter_ns() - begun_ns


def _say(report: Report) -> None:
    sys.stdout.write(encode(report))
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a worker as the command line says."""
    parser = argparse.ArgumentParser(description="one worker of mmsnap demo")
    parser.add_argument("member", choices=MEMBERS)
    parser.add_argument("--folder", type=Path, required=True, help="of the stream and the sockets")
    parser.add_argument("--rate", type=float, required=True, help="flights a second, at most")
    parser.add_argument("--pool", type=Path, help="stand alone, with a region of this pool")
    options = parser.parse_args(arguments)
    Worker(options.member, options.folder, options.rate, options.pool).run()


if __name__ == "__main__":
    main()
