"""The tutorial in one command: `make hazelcast`. What each step means is in README.md beside it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from cluster import MEMBERS, Cluster, cluster, prepare
from load import Load
from personnel import MAP, connected, insert, verify
from rich.console import Console
from rich.table import Table

_CONSOLE: Final = Console()
_NAME: Final = "before-the-disaster"
# Long enough for the load to be under way, short enough to be waited for.
_UNDER_LOAD_SECONDS: Final = 2.0


def say(text: str) -> None:
    _CONSOLE.print(text, highlight=False, markup=False)


def together(folder: Path, jar: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All members in one group: one cut."""
    with cluster(folder, jar, options.heap, lambda member: "hz") as three:
        say(f"\n== Three members in one group ({folder})")
        with connected() as client:
            insert(client, options.entries)
            say(f"{options.entries:,} employees are in {MAP}")
            load, taken = checkpoint_under_load(three, client)
            say(f"a client that wrote and read meanwhile: {load.writes:,} writes, "
                f"{len(load.errors)} errors, {load.lost()} writes lost, "
                f"its longest stall {load.longest_seconds * 1e3:.0f} ms")  # fmt: skip
            outcome = {
                "errors": load.errors,
                "lost_writes": load.lost(),
                "stall_seconds": load.longest_seconds,
                "members": taken[0]["members"],
                "pause_ns": taken[0]["pause_ns"],
            }
            client.get_map(MAP).blocking().clear()
        return outcome | disaster_and_restore(three, options)


def one_by_one(folder: Path, jar: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Every member in a group of its own: three cuts, at three instants."""
    with cluster(folder, jar, options.heap, lambda member: f"alone-{member}") as three:
        say(f"\n== The same with members checkpointed one by one ({folder})")
        with connected() as client:
            insert(client, options.entries)
            checkpoint_under_load(three, client)
            client.get_map(MAP).blocking().clear()
        return disaster_and_restore(three, options)


def checkpoint_under_load(three: Cluster, client: Any) -> tuple[Load, list[dict[str, Any]]]:
    with Load(client) as load:
        time.sleep(_UNDER_LOAD_SECONDS)
        load.longest_seconds = 0.0
        taken = three.checkpoint(_NAME)
        time.sleep(_UNDER_LOAD_SECONDS)
    _CONSOLE.print(_table(taken))
    return load, taken


def disaster_and_restore(three: Cluster, options: argparse.Namespace) -> dict[str, Any]:
    """The map is cleared, the members are killed; then all is put back, and looked at."""
    three.kill()
    say("the map is cleared and all members are killed")
    for group in three.groups:
        three.mmsnap("restore", group, _NAME)
    begun = time.monotonic()
    three.start()
    try:
        three.await_whole()
        whole = True
    except SystemExit:
        whole = False
    took = time.monotonic() - begun
    sizes = three.sizes()
    say(f"after {took:.1f} s the members see clusters of {sizes}{', safe' if whole else ''}")
    with connected() as client:
        missing, wrong = verify(client, options.entries)
        torn = Load.torn(client)
    right = options.entries - missing - wrong
    say(f"{right:,} of {options.entries:,} employees are there with the right values")
    say(f"of the client's own keys {torn} are older than the others: not of one instant")
    return {"right": right, "torn": torn, "sizes": sizes, "whole": whole, "seconds": took}


def _table(taken: list[dict[str, Any]]) -> Table:
    table = Table("member", "pause", "freeze", "dump", "thaw", "stored")
    for checkpoint in taken:
        for part in checkpoint["members"]:
            times = [f"{part[name] / 1e6:.0f} ms" for name in
                     ("pause_ns", "freeze_ns", "dump_ns", "thaw_ns")]  # fmt: skip
            table.add_row(part["member"], *times, f"{part['bytes_written'] / 2**20:.0f} MiB")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--heap", default="640m", help="of each member (640m)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome there")
    parser.add_argument("--skip-one-by-one", action="store_true", help="only the group")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("the tutorial freezes and restores processes: run it as root")
    jar = prepare()
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-hazelcast-", dir="/dev/shm"))
    try:
        outcome: dict[str, Any] = {"together": together(folder / "together", jar, options)}
        if not options.skip_one_by_one:
            outcome["one by one"] = one_by_one(folder / "one-by-one", jar, options)
    except BaseException:
        say(f"logs of the members are in {folder}")
        raise
    shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps(outcome, indent=2))
    group = outcome["together"]
    passed = (
        group["right"] == options.entries
        and group["whole"]
        and not group["errors"]
        and not group["lost_writes"]
        and not group["torn"]
    )
    say("")
    for how, what in outcome.items():
        say(
            f"{how}: {what['right']:,} of {options.entries:,} employees, clusters of "
            f"{what['sizes']}, {what['torn']} keys torn"
        )
    say("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    assert len(MEMBERS) == 3
    sys.exit(main())
