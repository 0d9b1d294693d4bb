"""Several programs at one instant: connections survive, and all are restored or none."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.process.programs import COUNTER, ECHO_CLIENT, ECHO_SERVER
from tests.process.site import Shim, Site, await_true


def pair(here: Site, port: int) -> tuple[Shim, Shim]:
    server = here.run("g", "server", sys.executable, "-c", ECHO_SERVER.format(port=port))
    client = here.run("g", "client", sys.executable, "-c", ECHO_CLIENT.format(port=port))
    await_true(lambda: len(client.lines) > 2, "they talk")
    return server, client


def alive(*shims: Shim) -> bool:
    return all(shim.process.poll() is None for shim in shims)


def test_a_connection_survives_cuts_and_roll_backs_under_load(here: Site) -> None:
    server, client = pair(here, free_port())
    for round_number in range(3):
        here.checkpoint("g", f"c{round_number}")
        ahead = int(client.lines[-1])
        await_true(lambda ahead=ahead: int(client.lines[-1]) > ahead + 300, "they talk on")
        here.mmsnap("restore", "g", f"c{round_number}")
        assert alive(server, client), client.words + server.words
        await_true(lambda ahead=ahead: int(client.lines[-1]) < ahead + 250, "they are back")
        back = int(client.lines[-1])
        await_true(lambda back=back: int(client.lines[-1]) > back + 200, "they talk on from there")


def test_a_connection_survives_the_death_of_both_ends(here: Site) -> None:
    port = free_port()
    server, client = pair(here, port)
    here.checkpoint("g", "c")
    for shim in (server, client):
        shim.kill_program()
    here.mmsnap("restore", "g", "c")
    server = here.run("g", "server", "false")
    client = here.run("g", "client", "false")
    await_true(lambda: len(client.lines) > 2, f"they talk again: {client.words}")
    assert alive(server, client)


def test_a_connection_to_the_outside_is_reset_and_counted(here: Site) -> None:
    port = free_port()
    server = here.run("g", "server", sys.executable, "-c", ECHO_SERVER.format(port=port))
    await_true(lambda: _listens(port), "it listens")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as outside:
        outside.sendall(b"0\n")
        assert outside.recv(10) == b"1\n"
        here.checkpoint("g", "c")
        outside.sendall(b"1\n")
        assert outside.recv(10) == b"2\n", "a cut is only a stall to the outside"
        here.mmsnap("restore", "g", "c")
        with pytest.raises(ConnectionResetError):
            outside.recv(10)
    assert "1 connections to the outside were reset" in server.words


def _listens(port: int) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows)


def test_nobody_is_ended_when_one_member_can_not_be_restored(here: Site) -> None:
    a = here.run("g", "a", sys.executable, "-c", COUNTER, "4")
    b = here.run("g", "b", sys.executable, "-c", COUNTER, "4")
    await_true(lambda: len(a.lines) > 3 and len(b.lines) > 3, "they count")
    here.checkpoint("g", "c")
    pages = next((here.pool / "processes/g.b/1/images").glob("pages-*.img"))
    damaged = bytearray(pages.read_bytes())
    damaged[5000] ^= 1
    pages.write_bytes(damaged)
    pids = a.pids() + b.pids()
    refused = here.mmsnap("restore", "g", "c", check=False)
    assert refused.returncode == 4
    assert "member b at check" in refused.stderr
    assert "fails its checksum" in refused.stderr
    assert a.pids() + b.pids() == pids, "both run on as they were"


@pytest.mark.parametrize("killed", ["a", "b"])
def test_a_member_that_is_killed_leaves_the_others_running(here: Site, killed: str) -> None:
    shims = {m: here.run("g", m, sys.executable, "-c", COUNTER, "4") for m in ("a", "b")}
    await_true(lambda: all(len(s.lines) > 3 for s in shims.values()), "they count")
    shims.pop(killed).kill_program()
    (left,) = shims.values()
    ahead = int(left.lines[-1])
    await_true(lambda: int(left.lines[-1]) > ahead + 5, "the other counts on")
    taken = here.checkpoint("g", "c")
    assert len(taken["members"]) == 1


PATIENT_SERVER = """
import socket
ballast = bytearray(512 << 20)
for at in range(0, len(ballast), 4096): ballast[at] = at >> 12 & 255
listener = socket.create_server(("127.0.0.1", {port}))
while True:
    line, _ = listener.accept()
    with line:
        while data := line.recv(1): line.sendall(data)
"""


def test_a_client_outside_waits_for_the_pause_and_no_longer(here: Site) -> None:
    port = free_port()
    here.run("g", "server", sys.executable, "-c", PATIENT_SERVER.format(port=port))
    await_true(lambda: _listens(port), "it listens")
    stalls = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as outside:
        for number in range(3):
            ended = threading.Event()

            def create(number: int = number, ended: threading.Event = ended) -> None:
                here.mmsnap("checkpoint", "create", "g", "--name", f"c{number}")
                ended.set()

            creating = threading.Thread(target=create)
            creating.start()
            worst = 0.0
            while not ended.is_set():
                begun = time.monotonic()
                outside.sendall(b"x")
                assert outside.recv(1) == b"x"
                worst = max(worst, time.monotonic() - begun)
            creating.join()
            shown = here.mmsnap("checkpoint", "show", "g", f"c{number}", "-o", "json").stdout
            stalls.append((worst, json.loads(shown)["pause_ns"] / 1e9))
    # A packet lost to the lock would be sent again after 0.2 s, and then after 0.6 s.
    assert min(stall - pause for stall, pause in stalls) < 0.1, stalls
