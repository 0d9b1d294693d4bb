"""Deaths in the middle: nobody stays frozen, no packet locked out, nothing committed lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mmsnap.process.criu import find
from mmsnap.shim.naming import name_here
from tests.ports import free_port
from tests.process.programs import COUNTER, ECHO_CLIENT, ECHO_SERVER
from tests.process.site import Shim, Site, await_true


def locked() -> str:
    """The nftables tables of ours that there are."""
    told = subprocess.run(
        [*find().nft.command, "list", "tables"], capture_output=True, text=True, check=True
    )
    return "\n".join(line for line in told.stdout.splitlines() if "mmsnap" in line)


def pair(here: Site) -> tuple[Shim, Shim]:
    """Two that talk, with enough memory for a dump that takes a while."""
    port = free_port()
    ballast = (
        "ballast = bytearray(256 << 20)\nfor at in range(0, 256 << 20, 4096): ballast[at] = 1\n"
    )
    server = here.run("g", "server", sys.executable, "-c", ballast + ECHO_SERVER.format(port=port))
    client = here.run("g", "client", sys.executable, "-c", ECHO_CLIENT.format(port=port))
    await_true(lambda: len(client.lines) > 2, "they talk")
    return server, client


def in_the_cut(here: Site, shim: Shim, do: object) -> subprocess.CompletedProcess[str]:
    """Begins a checkpoint, and calls `do` as soon as the program stands still."""
    taken: list[subprocess.CompletedProcess[str]] = []
    asking = threading.Thread(
        target=lambda: taken.append(here.mmsnap("checkpoint", "create", "g", check=False))
    )
    asking.start()
    deadline = time.monotonic() + 30
    while not shim.is_frozen():  # looked at often: it does not stand still for long
        assert asking.is_alive(), taken[0].stderr
        assert time.monotonic() < deadline, "waited in vain: it stands still"
        time.sleep(0.001)
    do()  # type: ignore[operator]
    asking.join(60)
    return taken[0]


def talk_on(client: Shim) -> None:
    ahead = int(client.lines[-1])
    await_true(lambda: int(client.lines[-1]) > ahead + 200, f"they talk on {client.words}")


def test_the_service_killed_in_the_cut_all_run_on_within_the_lease(here: Site) -> None:
    server, client = pair(here)
    begun = time.monotonic()
    in_the_cut(here, client, lambda: os.kill(here.agent.pid, signal.SIGKILL))
    await_true(lambda: not server.is_frozen() and not client.is_frozen(), "they run", seconds=10)
    assert time.monotonic() - begun < 8
    talk_on(client)
    await_true(lambda: not locked(), "no packet is locked out", 10)
    here.agent.wait()
    here.start_agent()
    await_true(lambda: here.attached("g") == {"server", "client"}, "they are members again")
    here.checkpoint("g", "c")
    here.mmsnap("restore", "g", "c")
    talk_on(client)


def test_the_service_frozen_in_the_cut_can_not_commit_it(here: Site) -> None:
    server, client = pair(here)

    def pause_the_service() -> None:
        os.kill(here.agent.pid, signal.SIGSTOP)
        await_true(lambda: not server.is_frozen() and not client.is_frozen(), "they run", 10)
        os.kill(here.agent.pid, signal.SIGCONT)

    assert in_the_cut(here, client, pause_the_service).returncode == 4
    talk_on(client)
    assert here.mmsnap("checkpoint", "list", "g", "-o", "json").stdout.strip() == "[]"


@pytest.mark.parametrize("who", ["server", "client"])
def test_a_program_killed_in_the_cut_aborts_it_for_all(here: Site, who: str) -> None:
    server, client = pair(here)
    victim, other = (server, client) if who == "server" else (client, server)
    ended = in_the_cut(here, victim, lambda: [os.kill(p, signal.SIGKILL) for p in victim.pids()])
    assert ended.returncode == 4
    await_true(lambda: not other.is_frozen(), "the other runs", seconds=10)
    await_true(lambda: not locked(), "no packet is locked out", 10)


def test_the_shim_killed_in_the_cut_leaves_nobody_frozen(here: Site) -> None:
    server, client = pair(here)
    pids = client.pids()
    ended = in_the_cut(here, client, client.process.kill)
    assert ended.returncode == 4
    await_true(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "it is gone", 15)
    await_true(lambda: not server.is_frozen(), "the other runs", seconds=10)


def test_started_again_it_removes_what_a_killed_shim_left(here: Site) -> None:
    server, client = pair(here)
    in_the_cut(here, client, client.process.kill)
    await_true(lambda: not locked(), "the watchdog unlocks", seconds=15)
    server.kill_program()
    again = here.run("g", "client", sys.executable, "-c", COUNTER, "1")
    here.run("g", "server", sys.executable, "-c", COUNTER, "1")
    await_true(lambda: len(again.lines) > 5, "it counts")
    await_true(lambda: not locked(), "no packet is locked out", 10)
    here.checkpoint("g", "c")


def test_twenty_kills_at_any_moment_lose_no_committed_checkpoint(here: Site) -> None:
    shim = here.run("g", "a", sys.executable, "-c", COUNTER, "16")
    await_true(lambda: len(shim.lines) > 3, "it counts")
    returned = set()
    for number in range(1, 21):
        kills_service = number % 2
        victim = here.agent.pid if kills_service else shim.process.pid
        killer = threading.Timer(0.5 + 0.02 * number, os.kill, (victim, signal.SIGKILL))
        killer.start()
        name = f"c{number}"
        taken = here.mmsnap("checkpoint", "create", "g", "--name", name, check=False)
        if taken.returncode == 0:
            returned.add(name)
        killer.join()
        if kills_service:
            here.agent.wait()
            here.start_agent()
            await_true(lambda: here.attached("g") == {"a"}, "it is a member again")
        else:
            shim.process.wait()
            here.mmsnap("restore", "g", "latest", check=False)
            shim = here.run("g", "a", sys.executable, "-c", COUNTER, "16")
        counts_on(shim)
    listed = here.mmsnap("checkpoint", "list", "g", "-o", "json").stdout
    for name in returned:
        assert f'"{name}"' in listed, "a checkpoint whose call returned is gone"
        here.mmsnap("checkpoint", "verify", "g", name)
    await_true(lambda: not locked(), "no packet is locked out", 10)


def counts_on(shim: Shim) -> None:
    ahead = len(shim.lines)
    await_true(lambda: len(shim.lines) > ahead, f"it counts on {shim.words}")


@pytest.mark.parametrize("after_ms", [0, 10, 20, 30])
def test_criu_killed_in_the_cut_fails_the_checkpoint_and_says_what_may_be_broken(
    here: Site, after_ms: int
) -> None:
    server, client = pair(here)

    def kill_criu() -> None:
        await_true(lambda: criu_pids(name_here("g", "server", here.address)), "CRIU works", 10)
        time.sleep(after_ms / 1000)
        for pid in criu_pids(name_here("g", "server", here.address)):
            with suppress(ProcessLookupError):  # it has done its work meanwhile
                os.kill(pid, signal.SIGKILL)

    ended = in_the_cut(here, server, kill_criu)
    if after_ms == 0:
        assert ended.returncode == 4, ended.stderr
    if ended.returncode:  # else it was done before
        assert "CRIU was killed: the program or its connections may be broken" in ended.stderr
    await_true(lambda: not locked(), "no packet is locked out", 10)
    await_true(lambda: not server.is_frozen() and not client.is_frozen(), "they run", seconds=10)
    time.sleep(0.5)
    if client.process.poll() is None:
        talk_on(client)
    else:
        assert "Error" in client.words, "a broken one ends, and is not silent"
    if server.process.poll() is not None:  # CRIU's own code was in it
        server, client = pair(here)
    taken = here.checkpoint("g", "c")
    assert "server" in {part["member"] for part in taken["members"]}
    here.mmsnap("restore", "g", "c")
    assert server.process.poll() is None


def test_a_cut_stopped_by_its_budget_leaves_connections_alive(here: Site) -> None:
    server, client = pair(here)
    for _ in range(5):
        told = here.mmsnap("checkpoint", "create", "g", "--max-pause", "90ms", check=False)
        assert (told.returncode, "exceeded the budget" in told.stderr) == (4, True), told.stderr
        talk_on(client)
    assert server.process.poll() is None
    await_true(lambda: not locked(), "no packet is locked out", 10)


def criu_pids(program: str) -> list[int]:
    """The CRIU that dumps it, without what started it, which ends with it."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            words = (path / "cmdline").read_bytes().split(b"\0") if path.name.isdecimal() else []
            if b"dump" not in words or b"nsenter" in words[0]:
                continue
            given = next(word for word in words if word.startswith(b"--freeze-cgroup="))
            # CRIU is given its cgroup as a descriptor: the path is another one in a pod.
            descriptor = given.decode().rpartition("/")[2]
            if (path / "fd" / descriptor).readlink().name == program:
                found.append(int(path.name))
        except (OSError, StopIteration):  # the latter: what CRIU itself started
            continue
    return found
