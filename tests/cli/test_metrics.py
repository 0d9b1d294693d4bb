"""What Prometheus sees of a service: that it counts what happened, and stands in nobody's way."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import Run, Service, memory_folder, wait_for
from tests.cli.shop import Group
from tests.ports import free_port


class Watched:
    """The group `shop` under a service that serves its metrics."""

    def __init__(self, pool: Path, mmsnap: Run, environment: dict[str, str]) -> None:
        self._mmsnap = mmsnap
        self._address = f"unix://{pool}/agent.sock"
        self.port = free_port()
        self.service = Service(pool, self._address, environment, "--metrics", str(self.port))
        self.group = Group(self._address, environment)

    def do(self, *words: str) -> str:
        return self._mmsnap(*words, MMSNAP_ADDRESS=self._address).stdout

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels, as Prometheus would write them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {
            sample.name + "".join(f" {key}={value}" for key, value in sample.labels.items()): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def end(self) -> None:
        self.group.end()
        for run in self.group.runs.values():
            assert run.stdout is not None
            run.stdout.close()
        assert self.service.end() == 0, self.service.log


@pytest.fixture
def watched(mmsnap: Run, environment: dict[str, str]) -> Iterator[Watched]:
    with memory_folder() as pool:
        made = Watched(pool, mmsnap, environment)
        yield made
        made.end()


def test_operations_are_counted_by_how_they_ended(watched: Watched) -> None:
    assert watched.metrics()["mmsnap_operations_total operation=checkpoint result=committed"] == 0
    shown = []
    for name in ("one", "two"):
        watched.do("checkpoint", "create", "shop", "--name", name)
        shown.append(json.loads(watched.do("checkpoint", "show", "shop", name, "-o", "json")))
    watched.do("checkpoint", "create", "shop", "--name", "two")
    watched.do("checkpoint", "create", "shop", "--max-pause", "1ns")
    watched.do("restore", "shop", "one")
    told = watched.metrics()
    counted = {
        name.removeprefix("mmsnap_operations_total "): value
        for name, value in told.items()
        if name.startswith("mmsnap_operations_total") and value
    }
    assert counted == {
        "operation=checkpoint result=committed": 2,
        "operation=checkpoint result=FileExistsError": 1,
        "operation=checkpoint result=PauseExceededError": 1,
        "operation=restore result=committed": 1,
    }
    assert told["mmsnap_operation_seconds_count operation=checkpoint"] == 4
    assert told["mmsnap_pause_seconds_count"] == 2
    assert told["mmsnap_pause_seconds_bucket le=1e-05"] == 0, "10 µs is the lowest bound"
    assert told["mmsnap_pause_seconds_bucket le=10.0"] == 2
    pauses = sum(each["pause_ns"] for each in shown) / 1e9
    assert told["mmsnap_pause_seconds_sum"] == pytest.approx(pauses)
    assert told["mmsnap_held_seconds_count operation=restore"] == 1
    assert told["mmsnap_held_seconds_count operation=checkpoint"] in (2, 3), "the aborted one, too"
    assert told["mmsnap_held_seconds_sum operation=checkpoint"] > 0
    assert told["mmsnap_written_bytes_sum"] == sum(each["bytes_written"] for each in shown)
    assert "shop" not in str(told), "the port asks nobody who he is, so it tells no names"


def test_members_are_told_by_state_and_a_roll_back_is_counted(watched: Watched) -> None:
    watched.do("checkpoint", "create", "shop", "--name", "one")
    told = watched.metrics()
    states = ("attached", "joining", "lost", "left")
    assert [told[f"mmsnap_members state={state}"] for state in states] == [2, 0, 0, 0]
    pids = {each["member"]: each["pid"] for each in json.loads(watched.do("ps", "-o", "json"))}
    os.kill(pids["a"], signal.SIGKILL)
    rolled_back = "mmsnap_operations_total operation=roll_back result=committed"
    wait_for(lambda: watched.metrics()[rolled_back] == 1)
    told = watched.metrics()
    assert [told[f"mmsnap_members state={state}"] for state in states] == [1, 0, 1, 0]


def test_the_pool_is_told_as_usage_tells_it(watched: Watched) -> None:
    used = json.loads(watched.do("usage", "-o", "json"))
    told = watched.metrics()
    assert told["mmsnap_pool_size_bytes"] == used["size_bytes"]
    assert 0 < told["mmsnap_pool_free_bytes"] <= used["size_bytes"]
    assert told["mmsnap_regions_used_bytes"] == sum(each["used_bytes"] for each in used["regions"])


def test_a_client_that_asks_and_does_not_listen_keeps_nobody(watched: Watched) -> None:
    with socket.create_connection(("127.0.0.1", watched.port)) as silent:
        silent.sendall(b"GET /metrics HTTP/1.1\r\n")  # and no end of it
        begun = time.monotonic()
        assert watched.metrics()["mmsnap_members state=attached"] == 2
        watched.do("checkpoint", "create", "shop", "--name", "meanwhile")
        assert "meanwhile" in watched.do("checkpoint", "list", "shop")
        assert time.monotonic() - begun < 10


def test_port_that_is_taken_is_said_and_nothing_is_left(
    mmsnap: Run, environment: dict[str, str]
) -> None:
    with memory_folder() as pool, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        address = f"unix://{pool}/agent.sock"
        refused = mmsnap("agent", "--pool", pool, "--address", address, "--metrics", port)
        assert refused.returncode == 1
        assert f"127.0.0.1:{port}, is taken" in refused.stderr
        assert "Traceback" not in refused.stderr
        elsewhere = mmsnap(
            "agent", "--pool", pool, "--address", address, "--metrics", f"192.0.2.1:{port}"
        )
        assert (elsewhere.returncode, "192.0.2.1" in elsewhere.stderr) == (1, True)
        assert Service(pool, address, environment).end() == 0


@pytest.mark.parametrize("nonsense", ["", "nine", "0", "65536", "host:", "::1:", "-1"])
def test_what_is_no_port_is_a_usage_error(mmsnap: Run, nonsense: str, tmp_path: Path) -> None:
    refused = mmsnap("agent", "--pool", tmp_path, f"--metrics={nonsense}")
    assert refused.returncode == 2, refused.stderr
    assert "9464" in refused.stderr


def test_without_the_option_nothing_listens(mmsnap: Run, environment: dict[str, str]) -> None:
    with memory_folder() as pool:
        service = Service(pool, f"unix://{pool}/agent.sock", environment)
        sockets = {os.readlink(each) for each in Path(f"/proc/{service.pid}/fd").iterdir()}
        listening = Path(f"/proc/{service.pid}/net/tcp").read_text().splitlines()[1:]
        inodes = {f"socket:[{line.split()[9]}]" for line in listening if line.split()[3] == "0A"}
        assert not sockets & inodes
        assert service.end() == 0
