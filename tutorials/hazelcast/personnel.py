#!/usr/bin/env python3
"""The employees of `personnel-map`: insert them, query some, verify all.

    python personnel.py insert --entries 1000000
    python personnel.py query 17 4711
    python personnel.py verify --entries 1000000
    python personnel.py clear
    python personnel.py health

Each employee is made of its number alone, so that every one can be compared with what it must be.
The members are those of HAZELCAST_MEMBERS, else three on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from hazelcast.client import HazelcastClient
from rich.console import Console
from rich.progress import track

MAP: Final = "personnel-map"
MEMBERS: Final = ("127.0.0.1:5701", "127.0.0.1:5702", "127.0.0.1:5703")
_BATCH: Final = 5_000
_LOOK_SECONDS: Final = 0.2
_DEPARTMENTS: Final = ("Accounts", "Design", "Engineering", "Research", "Sales", "Support")


def employee(number: int) -> str:
    """The employee of a number, as text."""
    department = _DEPARTMENTS[number % len(_DEPARTMENTS)]
    salary = 30_000 + number * 7919 % 70_000
    return (
        f'{{"id": {number}, "name": "Employee {number}", "in": "{department}", "pays": {salary}}}'
    )


@contextmanager
def connected(members: tuple[str, ...] = MEMBERS) -> Iterator[Any]:
    """A client of the cluster; it tries again while members are away.

    Of a named cluster it speaks to one member: those of a clone know each other by old names.
    """
    client = HazelcastClient(cluster_members=list(members), smart_routing=members == MEMBERS)
    try:
        yield client
    finally:
        client.shutdown()


def insert(client: Any, entries: int) -> None:
    """Puts that many employees into the map."""
    personnel = client.get_map(MAP).blocking()
    for batch in _tracked(entries, "inserting"):
        personnel.put_all({number: employee(number) for number in batch})


def query(client: Any, numbers: list[int]) -> dict[int, str | None]:
    """What the map has of these employees."""
    personnel = client.get_map(MAP).blocking()
    return {number: personnel.get(number) for number in numbers}


def verify(client: Any, entries: int) -> tuple[int, int]:
    """(missing, wrong) among that many employees; every one is read."""
    personnel = client.get_map(MAP).blocking()
    missing = wrong = 0
    for batch in _tracked(entries, "verifying"):
        found = personnel.get_all(list(batch))
        missing += len(batch) - len(found)
        wrong += sum(value != employee(number) for number, value in found.items())
    return missing, wrong


def clear(client: Any) -> None:
    """Lets all of them go."""
    client.get_map(MAP).blocking().clear()


def health(member: str) -> str:
    """What a member says of the cluster that it sees."""
    try:
        with urllib.request.urlopen(f"http://{member}/hazelcast/health", timeout=5) as reply:
            told = json.load(reply)
    except (OSError, ValueError) as error:
        return f"no answer: {error}"
    return f"a cluster of {told['clusterSize']}, {'safe' if told['clusterSafe'] else 'not safe'}"


def _tracked(entries: int, what: str) -> Iterator[range]:
    batches = [range(at, min(at + _BATCH, entries)) for at in range(0, entries, _BATCH)]
    yield from track(batches, what, console=Console(stderr=True), transient=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="The employees of personnel-map.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("insert", "verify"):
        verbs.add_parser(verb).add_argument("--entries", type=int, default=1_000_000)
    verbs.add_parser("query").add_argument("numbers", type=int, nargs="+")
    verbs.add_parser("clear")
    verbs.add_parser("health").add_argument("--wait", type=float, default=0, metavar="SECONDS")
    options = parser.parse_args()
    members = tuple(filter(None, os.environ.get("HAZELCAST_MEMBERS", "").split(","))) or MEMBERS
    if options.verb == "health":
        return _tell_health(members, time.monotonic() + options.wait)
    with connected(members) as client:
        if options.verb == "insert":
            insert(client, options.entries)
            print(f"{options.entries:,} employees are in {MAP}")
        elif options.verb == "query":
            for number, found in query(client, options.numbers).items():
                print(number, found or "is not there")
        elif options.verb == "clear":
            clear(client)
            print(f"{MAP} is empty")
        else:
            missing, wrong = verify(client, options.entries)
            print(f"{options.entries - missing - wrong:,} of {options.entries:,} are right")
            return int(bool(missing or wrong))
    return 0


def _tell_health(members: tuple[str, ...], deadline: float) -> int:
    """Waits until all are in one safe cluster, or the time is over."""
    well = f"a cluster of {len(members)}, safe"
    while True:
        told = {member: health(member) for member in members}
        is_well = set(told.values()) == {well}
        if is_well or time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    for member, words in told.items():
        print(f"{member}: {words}")
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
