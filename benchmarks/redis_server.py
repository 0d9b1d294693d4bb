"""A Redis server's checkpoint beside its own BGSAVE, while a client writes without pause.

What a client sees (its longest wait for an answer), how long each takes, how large it is, and how
long the way back takes: a restore in place beside a server that starts from the file. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import socket
import string
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from measurement.group import Group, await_true
from measurement.samples import Samples
from rich.console import Console
from rich.table import Table

_PORT: Final = 6381
_SECOND_PORT: Final = 6382
_VALUE_BYTES: Final = 1000
_BATCH: Final = 1000


@dataclass
class Figures:
    """Nanoseconds by round; sizes in bytes by round."""

    quiet_stall: list[float] = field(default_factory=list)
    bgsave_stall: list[float] = field(default_factory=list)
    checkpoint_stall: list[float] = field(default_factory=list)
    bgsave: list[float] = field(default_factory=list)
    checkpoint: list[float] = field(default_factory=list)
    start_from_file: list[float] = field(default_factory=list)
    restore_in_place: list[float] = field(default_factory=list)
    sizes: dict[str, list[int]] = field(default_factory=lambda: {"rdb": [], "checkpoint": []})

    def samples(self) -> dict[str, Samples]:
        return {name: Samples(v) for name, v in vars(self).items() if isinstance(v, list)}


class Line:
    """A connection that sends commands and waits for their answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self._socket.makefile("rb")

    def ask(self, *words: str) -> str:
        self._socket.sendall(_encoded(words))
        head = self._file.readline().decode().strip()
        if head.startswith("$") and head != "$-1":
            return self._file.read(int(head[1:]) + 2)[:-2].decode()
        return head

    def fill(self, keys: int) -> None:
        values = _values()
        for first in range(0, keys, _BATCH):
            batch = range(first, min(first + _BATCH, keys))
            self._socket.sendall(
                b"".join(_encoded(("SET", f"k{n}", values[n % len(values)])) for n in batch)
            )
            for _ in batch:
                self._file.readline()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Writer:
    """Sets random keys, one after the other, and notes the longest wait."""

    def __init__(self, port: int, keys: int) -> None:
        self._line = Line(port)
        self._keys = keys
        self._ending = threading.Event()
        self._worst_ns = 0
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    @contextmanager
    def watched(self, into: list[float]) -> Iterator[None]:
        """Adds the longest wait inside to `into`."""
        self._worst_ns = 0
        yield
        time.sleep(0.05)
        into.append(self._worst_ns)

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self._line.close()

    def _write(self) -> None:
        chance, values = random.Random(1), _values()
        while not self._ending.is_set():
            begun_ns = time.perf_counter_ns()
            self._line.ask("SET", f"k{chance.randrange(self._keys)}", chance.choice(values))
            self._worst_ns = max(self._worst_ns, time.perf_counter_ns() - begun_ns)


def measure(folder: Path, keys: int, rounds: int, progress: Callable[[str], None]) -> Figures:
    """One round more than asked for: the first only warms the memory."""
    group = Group(folder, {"redis": _redis(folder, _PORT)})
    figures = Figures()
    try:
        await_true(lambda: _answers(_PORT), "redis")
        progress("filling")
        line = Line(_PORT)
        line.fill(keys)
        line.close()
        for number in range(rounds + 1):
            progress(f"round {number} of {rounds}")
            _round(group, folder, keys, f"c{number}", figures if number else Figures())
    finally:
        group.end()
    return figures


def _round(group: Group, folder: Path, keys: int, name: str, taken: Figures) -> None:
    line, writer = Line(_PORT), Writer(_PORT, keys)
    with writer.watched(taken.quiet_stall):
        time.sleep(0.5)
    with writer.watched(taken.bgsave_stall):
        taken.bgsave.append(_timed(lambda: _background_save(line)))
    with writer.watched(taken.checkpoint_stall):
        taken.checkpoint.append(_timed(lambda: group.checkpoint(name)))
    writer.end()
    line.close()
    parts = folder / "pool" / "processes" / "g.redis"
    newest = max(parts.glob("[0-9]*"), key=lambda part: int(part.name))
    taken.sizes["rdb"].append((folder / "dump.rdb").stat().st_size)
    taken.sizes["checkpoint"].append(_allocated_bytes(newest))
    taken.restore_in_place.append(group.restore(name))
    taken.start_from_file.append(_start_from_file(folder))


def _redis(folder: Path, port: int) -> tuple[str, ...]:
    return ("redis-server", "--port", str(port), "--save", "", "--dir", str(folder))


def _background_save(line: Line) -> None:
    line.ask("BGSAVE")
    while "rdb_bgsave_in_progress:1" in line.ask("INFO", "persistence"):
        time.sleep(0.005)


def _start_from_file(folder: Path) -> int:
    """A second server, from the file that BGSAVE wrote, until it answers."""
    begun_ns = time.perf_counter_ns()
    server = subprocess.Popen(_redis(folder, _SECOND_PORT), stdout=subprocess.DEVNULL)
    try:
        await_true(lambda: _answers(_SECOND_PORT), "redis from its file")
        return time.perf_counter_ns() - begun_ns
    finally:
        server.kill()
        server.wait()


def _answers(port: int) -> bool:
    try:
        line = Line(port)
    except ConnectionRefusedError:
        return False
    try:
        return line.ask("PING") == "+PONG"
    finally:
        line.close()


def _values() -> list[str]:
    """What no compression makes much smaller."""
    chance = random.Random(2)
    return [
        "".join(chance.choices(string.ascii_letters + string.digits, k=_VALUE_BYTES))
        for _ in range(100)
    ]


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()


def _timed(work: Callable[[], object]) -> int:
    begun_ns = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begun_ns


def _allocated_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def show(figures: Figures, title: str) -> None:
    """Prints the table."""
    table = Table("", "median", "p99", "worst", title=title)
    for name, values in figures.samples().items():
        table.add_row(name.replace("_", " "), *values.cells())
    console = Console()
    console.print(table)
    for name, sizes in figures.sizes.items():
        told = ", ".join(f"{size / (1 << 20):.0f}" for size in sizes)
        console.print(f"{name} MiB by round: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--keys", type=int, default=250_000, help="of 1000 bytes each (250000)")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="of each figure (10)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("this benchmark dumps and restores processes: run it as root")
    if shutil.which("redis-server") is None:
        raise SystemExit("this benchmark needs redis-server: apt-get install redis-server")
    with (
        tempfile.TemporaryDirectory(prefix="mmsnap-bench-", dir="/dev/shm") as folder,
        Console(stderr=True).status("starting") as status,
    ):
        figures = measure(Path(folder), options.keys, options.rounds, status.update)
    title = f"{options.keys} keys, {options.rounds} rounds, Linux {platform.release()}"
    show(figures, title)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        records: dict[str, Any] = {n: v.record() for n, v in figures.samples().items()}
        options.json.write_text(json.dumps({"figures": records, "sizes": figures.sizes}, indent=1))


if __name__ == "__main__":
    main()
