"""The log of a service can be searched: whatever concerns a group says which, and which epoch."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Run, Service, memory_folder, wait_for
from tests.cli.shop import Group


@pytest.fixture
def log(request: pytest.FixtureRequest, mmsnap: Run, environment: dict[str, str]) -> Iterator[str]:
    """What a service logged of a group that lived, was cut in vain, lost a member and ended."""
    with memory_folder() as folder:
        address = f"unix://{folder}/agent.sock"
        service = Service(folder, address, environment, "--log-format", request.param)
        group = Group(address, environment)

        def shop(*words: str) -> str:
            return mmsnap(*words, MMSNAP_ADDRESS=address).stdout

        try:
            shop("checkpoint", "create", "shop", "--name", "one")
            shop("checkpoint", "create", "shop", "--max-pause", "1ns")
            pids = {each["member"]: each["pid"] for each in json.loads(shop("ps", "-o", "json"))}
            os.kill(pids["a"], signal.SIGKILL)
            wait_for(lambda: "back to the head" in service.log)
        finally:
            group.end()
            ended = service.end()
        assert ended == 0
        yield service.log
        for run in group.runs.values():
            assert run.stdout is not None
            run.stdout.close()


@pytest.mark.parametrize("log", ["json"], indirect=True)
def test_every_line_is_an_object_and_names_the_group_and_the_epoch(log: str) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]
    for line in lines:
        assert line.keys() >= {"time", "level", "logger", "message"}
        assert not line["message"].startswith("group")
        if "shop" in line["message"] or "group" in line:
            assert (line["group"], type(line["epoch"])) == ("shop", int), line
    said = {line["message"].split(",")[0]: line for line in lines if "group" in line}
    assert said["attached"]["member"] in ("a", "b")
    assert said["lost"] | {"member": "a", "epoch": 2, "level": "warning"} == said["lost"]
    (aborted,) = (line for line in lines if line["message"].startswith("checkpoint @2"))
    assert "exceeded the budget" in aborted["message"]
    assert (aborted["epoch"], aborted["phase"] in aborted["message"]) == (2, True)
    assert set(aborted["member"].split(", ")) <= {"a", "b"}


@pytest.mark.parametrize("log", ["text"], indirect=True)
def test_a_line_for_people_says_what_it_is_about_first(log: str) -> None:
    told = re.compile(r"mmsnap[.\w]+: group shop epoch \d+(?: \w+ [\w, -]+)*: ")
    about = [line for line in log.splitlines() if "mmsnap.node.agent" not in line]
    assert about
    for line in about:
        assert told.search(line), line
    assert re.search(r"epoch 1: checkpoint @1 of group shop done, held [\d.]+ ms", log)
