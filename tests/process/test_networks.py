"""Members on hosts of their own: what is on the way at a cut, and other addresses afterwards."""

from __future__ import annotations

import subprocess
import sys

from tests.process.network import network
from tests.process.programs import FLOOD
from tests.process.site import Shim, Site, await_true


def flood(here: Site, group: str, hosts: list[str], address: str) -> list[Shim]:
    """Two members that send each other numbers without end."""
    ends = []
    for host, role in zip(hosts, ("listen", "connect"), strict=True):
        ends.append(here.run(group, role, sys.executable, "-c", FLOOD, role, address, host=host))
    await_flow(ends)
    return ends


def await_flow(ends: list[Shim], number: int = 0) -> None:
    """Until both ends have got more than before, and than `number`."""
    before = [len(end.lines) for end in ends]
    for end, count in zip(ends, before, strict=True):
        await_true(
            lambda end=end, count=count: len(end.lines) > count + 1 and int(end.lines[-1]) > number,
            f"it flows: {end.process.poll()} {end.words}",
        )


def test_nothing_on_the_way_is_lost_or_comes_twice(here: Site) -> None:
    hosts = ("10.9.0.1", "10.9.0.2")
    with network(*hosts, delay_seconds=0.003, bytes_per_second=3e6) as namespaces:
        ends = flood(here, "g", namespaces, hosts[0])
        for round_number in range(3):
            here.checkpoint("g", f"c{round_number}")
            await_flow(ends)
            here.mmsnap("restore", "g", f"c{round_number}")
            await_flow(ends)
            assert [end.process.poll() for end in ends] == [None, None]
        here.close()


def test_connections_live_on_under_other_addresses(here: Site) -> None:
    old, new = ("10.9.0.1", "10.9.0.2"), ("10.9.1.7", "10.9.1.8")
    with network(*old, *new, delay_seconds=0.003, bytes_per_second=3e6) as namespaces:
        ends = flood(here, "g", namespaces[:2], old[0])
        here.checkpoint("g", "c")
        for end in ends:
            end.kill_program()
        here.mmsnap("restore", "g", "c")
        moved = [
            here.run("g", role, "false", host=host)
            for role, host in zip(("listen", "connect"), namespaces[2:], strict=True)
        ]
        await_flow(moved)
        here.checkpoint("g", "there")
        await_flow(moved)
        here.mmsnap("restore", "g", "there")
        await_flow(moved)
        assert "reset" not in moved[0].words + moved[1].words
        here.close()


def test_where_an_address_went_is_not_guessed(here: Site) -> None:
    old, new = ("10.9.0.1", "10.9.0.2"), ("10.9.1.7", "10.9.1.8")
    with network(*old, *new) as namespaces:
        ends = flood(here, "g", namespaces[:2], old[0])
        here.checkpoint("g", "c")
        for end in ends:
            end.kill_program()
        subprocess.run(
            ["nsenter", f"--net={namespaces[3]}", "ip", "addr", "add", "10.9.1.9/8", "dev", "eth0"],
            check=True,
        )
        here.mmsnap("restore", "g", "c")
        here.run("g", "listen", "false", host=namespaces[2])
        last = here.run("g", "connect", "false", host=namespaces[3])
        last.process.wait(20)
        assert "not clear whether 10.9.1.8 or 10.9.1.9 takes its place" in last.words
        here.close()
