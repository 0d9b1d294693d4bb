"""The fear: two services of one machine have members of one name, and what is done to the one
program is done to the other: killed with it, or its network let go in the middle of a cut."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mmsnap.process.connections import Connection, End
from mmsnap.process.criu import find
from mmsnap.process.network_lock import NetworkLock
from tests.process.programs import COUNTER
from tests.process.site import Site, await_true, site


@pytest.fixture
def there(criu: None) -> Iterator[Site]:
    """Another service."""
    with site() as made:
        yield made


def test_each_restores_its_own_and_leaves_the_other_alone(here: Site, there: Site) -> None:
    one, other = (s.run("g", "a", sys.executable, "-c", COUNTER, "4") for s in (here, there))
    await_true(lambda: len(one.lines) > 2 and len(other.lines) > 2, "both count")
    (pid,) = other.pids()
    assert one.pids() not in ([], [pid])
    here.checkpoint("g", "c")
    here.mmsnap("restore", "g", "c")
    one.kill_program()
    assert other.pids() == [pid]
    ahead = int(other.lines[-1])
    await_true(lambda: int(other.lines[-1]) > ahead + 2, "it counts on")
    assert there.attached("g") == {"a"}


def test_locks_of_members_that_are_spelt_nearly_the_same_are_two(criu: None) -> None:
    found = find()
    locks = [NetworkLock(found, name) for name in ("tests-x.a", "tests.x-a", "tests-x-a")]
    connection = Connection(End("127.0.0.1", 1), End("127.0.0.1", 2))
    for lock in locks:
        lock.hold([connection])
    try:
        told = [*found.nft.command, "list", "tables"]
        tables = subprocess.run(told, capture_output=True, text=True, check=True).stdout
        assert tables.count("mmsnap_tests") == len(locks)
    finally:
        for lock in locks:
            lock.release()
