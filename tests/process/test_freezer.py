"""The cgroup freezer in its first version, where there is no other: the same promises."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from mmsnap.process.freezer import make_freezer
from tests.ports import free_port
from tests.process.programs import COUNTER, ECHO_CLIENT, ECHO_SERVER
from tests.process.site import Shim, Site, await_true, cgroup_of
from tests.process.test_faults import in_the_cut

pytestmark = pytest.mark.skipif(
    not Path("/sys/fs/cgroup/freezer").is_dir(), reason="the freezer of cgroup v1 is not mounted"
)


def pair(here: Site) -> tuple[Shim, Shim]:
    port = free_port()
    server, client = (
        here.run("g", member, sys.executable, "-c", source.format(port=port), freezer=1)
        for member, source in (("server", ECHO_SERVER), ("client", ECHO_CLIENT))
    )
    await_true(lambda: len(client.lines) > 2, "they talk")
    assert server.pids()
    assert client.pids()
    return server, client


def test_a_group_is_captured_rolled_back_and_restored(here: Site) -> None:
    server, client = pair(here)
    here.checkpoint("g", "c")
    ahead = int(client.lines[-1])
    await_true(lambda: int(client.lines[-1]) > ahead + 300, "they talk on")
    here.mmsnap("restore", "g", "c")
    await_true(lambda: int(client.lines[-1]) < ahead + 250, "they are back")
    for shim in (server, client):
        shim.kill_program()
    here.mmsnap("restore", "g", "c")
    here.run("g", "server", "false", freezer=1)
    client = here.run("g", "client", "false", freezer=1)
    await_true(lambda: len(client.lines) > 2, "they talk again")


def test_frozen_programs_thaw_when_the_service_is_killed(here: Site) -> None:
    counter = here.run("g", "m", sys.executable, "-c", COUNTER, "300", freezer=1)
    await_true(lambda: len(counter.lines) > 3, "it counts")
    in_the_cut(here, counter, lambda: os.kill(here.agent.pid, signal.SIGKILL))
    await_true(lambda: not counter.is_frozen(), "the lease has ended", 20)
    ahead = int(counter.lines[-1])
    await_true(lambda: int(counter.lines[-1]) > ahead + 5, "it counts on")


def test_nothing_stays_frozen_behind_a_killed_shim(here: Site) -> None:
    counter = here.run("g", "m", sys.executable, "-c", COUNTER, "4", freezer=1)
    await_true(lambda: len(counter.lines) > 3, "it counts")
    (pid,) = counter.pids()
    (cgroup_of(here.address, "g", "m", freezer=1) / "freezer.state").write_text("FROZEN")
    time.sleep(0.1)
    os.kill(counter.process.pid, signal.SIGKILL)
    await_true(lambda: not Path(f"/proc/{pid}").exists(), "the watchdog ended it", 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups are root's to make")
def test_a_freezer_that_went_with_its_container_holds_somebody_up() -> None:
    freezer = make_freezer("tests.gone")
    freezer.remove()
    freezer.thaw()
    freezer.kill()
    freezer.wait_empty(0)
    assert freezer.pids() == []
