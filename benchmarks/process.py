"""How long a group of unmodified programs stands still, and how long its restore takes.

Three Java programs under mmsnap, and beside them three of the same without it, which are dumped one
after the other and restored by plain CRIU; in turns, on memory that is warm. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cluster import prepare
from measurement.group import Group
from measurement.plain import PlainProgram
from measurement.samples import Samples
from rich.console import Console
from rich.table import Table

from mmsnap.process.criu import find

_MEMBERS: Final = 3
_FIRST_PORT: Final = 5801
_ALONE: Final = """
hazelcast:
  cluster-name: {name}
  network:
    port: {{port: {port}, auto-increment: false}}
    join:
      multicast: {{enabled: false}}
      auto-detection: {{enabled: false}}
"""


@dataclass
class Figures:
    """Nanoseconds by round."""

    plain_dump_sum: list[float] = field(default_factory=list)
    plain_dump_slowest: list[float] = field(default_factory=list)
    group_pause: list[float] = field(default_factory=list)
    group_freeze: list[float] = field(default_factory=list)
    group_dump: list[float] = field(default_factory=list)
    group_thaw: list[float] = field(default_factory=list)
    plain_restore_slowest: list[float] = field(default_factory=list)
    plain_restore_sum: list[float] = field(default_factory=list)
    group_restore: list[float] = field(default_factory=list)

    def samples(self) -> dict[str, Samples]:
        return {name: Samples(values) for name, values in vars(self).items()}


def measure(folder: Path, heap_mib: int, rounds: int, progress: Callable[[str], None]) -> Figures:
    """One round more than asked for: the first only warms the memory."""
    criu, jar = find(), prepare()
    commands = [_java(folder, jar, heap_mib, number) for number in range(2 * _MEMBERS)]
    plain = [
        PlainProgram(criu, folder, f"plain{number}", command)
        for number, command in enumerate(commands[:_MEMBERS])
    ]
    members = {f"m{number}": command for number, command in enumerate(commands[_MEMBERS:])}
    group = Group(folder, members)
    progress("waiting for Java to come to rest")
    time.sleep(15)
    figures = Figures()
    try:
        for number in range(rounds + 1):
            progress(f"round {number} of {rounds}")
            taken = Figures()
            if number % 2:
                _plain_round(plain, taken)
            _group_round(group, number, taken)
            if not number % 2:
                _plain_round(plain, taken)
            if number:
                for name, values in vars(taken).items():
                    getattr(figures, name).extend(values)
    finally:
        group.end()
        for program in plain:
            program.end()
    return figures


def _plain_round(plain: list[PlainProgram], taken: Figures) -> None:
    dumps = [program.dump() for program in plain]
    taken.plain_dump_sum.append(sum(dumps))
    taken.plain_dump_slowest.append(max(dumps))
    restores = [program.restore() for program in plain]
    taken.plain_restore_sum.append(sum(restores))
    taken.plain_restore_slowest.append(max(restores))


def _group_round(group: Group, number: int, taken: Figures) -> None:
    name = f"c{number}"
    told = group.checkpoint(name)
    taken.group_pause.append(told["pause_ns"])
    for part in ("freeze", "dump", "thaw"):
        slowest = max(member[f"{part}_ns"] for member in told["members"])
        getattr(taken, f"group_{part}").append(slowest)
    taken.group_restore.append(group.restore(name))
    if number:
        group.delete(f"c{number - 1}")


def _java(folder: Path, jar: Path, heap_mib: int, number: int) -> tuple[str, ...]:
    config = folder / f"alone-{number}.yaml"
    config.write_text(_ALONE.format(name=f"alone-{number}", port=_FIRST_PORT + number))
    return (
        *("sh", "-c", 'exec "$@" > /dev/null 2>&1', "sh"),
        *("java", f"-Xms{heap_mib}m", f"-Xmx{heap_mib}m", "-XX:+AlwaysPreTouch"),
        *("-XX:+UseSerialGC", "-XX:-UsePerfData"),
        *(f"-Dhazelcast.config={config}", "-Dhazelcast.phone.home.enabled=false"),
        *("-cp", str(jar), "com.hazelcast.core.server.HazelcastMemberStarter"),
    )


def show(figures: Figures, title: str) -> list[dict[str, Any]]:
    """Prints the tables; returns the goals."""
    samples = figures.samples()
    table = Table("of three members", "median", "p99", "worst", title=title)
    for name, values in samples.items():
        table.add_row(name.replace("_", " "), *values.cells())
    medians = {name: values.median_ns for name, values in samples.items()}
    half = medians["group_pause"] / medians["plain_dump_sum"]
    restore = medians["group_restore"] / medians["plain_restore_slowest"]
    goals = [
        ("group freeze against three plain dumps", 0.5, half),
        ("restore against the slowest plain one", 1.5, restore),
    ]
    verdicts = Table("goal", "at most", "measured", "")
    for goal, limit, measured in goals:
        met = "met" if measured <= limit else "missed"
        verdicts.add_row(goal, f"{limit} x", f"{measured:.2f} x", met)
    console = Console()
    console.print(table)
    console.print(verdicts)
    return [{"goal": goal, "limit": limit, "measured": m} for goal, limit, m in goals]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--heap", type=int, default=256, metavar="MIB", help="of each member (256)")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="of each figure (10)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("this benchmark dumps and restores processes: run it as root")
    with (
        tempfile.TemporaryDirectory(prefix="mmsnap-bench-", dir="/dev/shm") as folder,
        Console(stderr=True).status("starting") as status,
    ):
        figures = measure(Path(folder), options.heap, options.rounds, status.update)
    title = f"{options.heap} MiB of heap, {options.rounds} rounds, Linux {platform.release()}"
    goals = show(figures, title)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        records = {name: values.record() for name, values in figures.samples().items()}
        options.json.write_text(json.dumps({"goals": goals, "figures": records}, indent=1))


if __name__ == "__main__":
    main()
