"""The commands on a service, with a real group of two members."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import MMSNAP, Run, wait_for
from tests.cli.shop import MEMBER, Group, counted


@pytest.fixture(scope="class")
def group(agent: str, environment: dict[str, str]) -> Iterator[Group]:
    group = Group(agent, environment)
    yield group
    group.end()
    for run in group.runs.values():
        assert run.stdout is not None
        run.stdout.close()


@pytest.fixture
def shop(mmsnap: Run, agent: str, group: Group) -> Run:
    """Runs `mmsnap` on the service of the group."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return mmsnap(*arguments, MMSNAP_ADDRESS=agent)

    return run


def answer(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


class TestReading:
    def test_ps_shows_every_member_with_its_process(self, shop: Run) -> None:
        members = answer(shop("ps", "shop", "-o", "json"))
        assert [(each["member"], each["state"]) for each in members] == [
            ("a", "attached"),
            ("b", "attached"),
        ]
        for each in members:
            assert Path(f"/proc/{each['pid']}/cmdline").read_text().endswith(f"{MEMBER}\0")
        assert shop("ps").stdout.split()[:3] == ["GROUP", "MEMBER", "STATE"]

    def test_usage_shows_every_region(self, shop: Run) -> None:
        used = answer(shop("usage", "-o", "json"))
        assert [each["region"] for each in used["regions"]] == ["shop.a", "shop.b"]
        assert all(each["used_bytes"] > 0 for each in used["regions"])
        assert "shop.a" in shop("usage").stdout

    def test_show_has_each_members_part(self, shop: Run) -> None:
        assert shop("checkpoint", "create", "shop", "--name", "one").returncode == 0
        shown = answer(shop("checkpoint", "show", "shop", "one", "-o", "json"))
        assert shown["head"] is True
        assert [part["member"] for part in shown["members"]] == ["a", "b"]
        assert shown["pause_ns"] == max(part["pause_ns"] for part in shown["members"])
        table = shop("checkpoint", "show", "shop", "one").stdout
        assert "SKEW" in table

    def test_list_of_all_groups_and_of_one(self, shop: Run) -> None:
        shop("checkpoint", "create", "shop")
        for asked in ([], ["shop"]):
            listed = answer(shop("checkpoint", "list", *asked, "-o", "json"))
            assert (listed[-1]["of"], listed[-1]["automatic"]) == ("shop", True)

    def test_watch_shows_what_happens_as_it_happens(
        self, shop: Run, agent: str, environment: dict[str, str], tmp_path: Path
    ) -> None:
        seen = tmp_path / "seen"
        with seen.open("w") as written:
            watching = subprocess.Popen(
                [MMSNAP, "watch", "shop", "-o", "json", "--address", agent],
                env=environment,
                stdout=written,
            )

        def sees_a_checkpoint() -> bool:
            shop("checkpoint", "create", "shop")
            events = [json.loads(line) for line in seen.read_text().splitlines()]
            return any(event["kind"] == "checkpoint" for event in events)

        wait_for(sees_a_checkpoint)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == 130


class TestGoingBack:
    def test_restore_brings_all_members_back_in_place(self, shop: Run, group: Group) -> None:
        shop("checkpoint", "create", "shop", "--name", "early")
        shop("checkpoint", "create", "shop", "--name", "late")
        assert shop("restore", "shop", "late").returncode == 0
        late = [counted(run) for run in group.runs.values()]
        restored = shop("restore", "shop", "early")
        assert restored.returncode == 0
        assert restored.stdout.startswith("shop is at early @")
        early = [counted(run) for run in group.runs.values()]
        assert all(before < after for before, after in zip(early, late, strict=True))

    def test_killed_member_takes_the_others_back_to_the_head(self, shop: Run, group: Group) -> None:
        shop("checkpoint", "create", "shop", "--name", "head")
        pids = {each["member"]: each["pid"] for each in answer(shop("ps", "-o", "json"))}
        os.kill(pids["a"], signal.SIGKILL)
        assert group.runs["a"].wait(timeout=20) == 128 + signal.SIGKILL
        survivor_at = counted(group.runs["b"])
        killed = group.runs["a"]
        assert killed.stdout is not None
        killed.stdout.close()
        group.runs["a"] = group.start("a")
        restarted_at = counted(group.runs["a"])
        assert answer(shop("checkpoint", "show", "shop", "latest", "-o", "json"))["name"] == "head"
        assert min(survivor_at, restarted_at) > 0


class TestKeeping:
    def test_verify_pin_prune_and_delete(self, shop: Run) -> None:
        for _ in range(3):
            shop("checkpoint", "create", "shop")
        first, second, _head = [
            each["name"] for each in answer(shop("checkpoint", "list", "shop", "-o", "json"))
        ]
        assert shop("checkpoint", "verify", "shop", first).returncode == 0
        assert shop("checkpoint", "pin", "shop", first).returncode == 0
        policy = ("--keep-last", "0", "--keep-within", "1ns")
        for asked in ((), ("-o", "json")):
            told = shop("checkpoint", "prune", "shop", *policy, "--dry-run", *asked)
            assert (told.returncode, first in told.stdout, second in told.stdout) == (
                0,
                False,
                True,
            )
        assert [each["name"] for each in json.loads(told.stdout)] == [second]
        assert shop("checkpoint", "prune", "shop", *policy).returncode == 2, "nobody to ask"
        assert shop("checkpoint", "prune", "shop", "--keep-last", "0", "--yes").returncode == 0
        kept = [each["name"] for each in answer(shop("checkpoint", "list", "shop", "-o", "json"))]
        assert second not in kept
        assert first in kept
        assert shop("checkpoint", "unpin", "shop", first).returncode == 0
        assert shop("checkpoint", "delete", "shop", first, "--yes").returncode == 0
        assert shop("checkpoint", "show", "shop", first).returncode == 3


class TestEnding:
    def test_members_end_codes_come_back(self, group: Group) -> None:
        assert group.end() == [5, 5]


class TestBadInput:
    def test_pause_over_budget_aborts_and_members_run_on(self, shop: Run) -> None:
        ended = shop("checkpoint", "create", "shop", "--max-pause", "1ns")
        assert ended.returncode == 4
        assert "members run on" in ended.stderr
        assert shop("checkpoint", "create", "shop").returncode == 0

    def test_second_process_under_a_live_members_name(
        self, shop: Run, agent: str, environment: dict[str, str]
    ) -> None:
        pid = answer(shop("ps", "-o", "json"))[0]["pid"]
        ended = subprocess.run(
            [MMSNAP, "run", "--group", "shop", "--member", "a", "--", sys.executable, MEMBER],
            env=environment | {"MMSNAP_ADDRESS": agent},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 1
        assert "InUseError" in ended.stderr
        assert str(pid) in ended.stderr

    def test_groups_and_checkpoints_that_are_not_there(self, shop: Run) -> None:
        for command in (
            ["checkpoint", "create", "nope"],
            ["checkpoint", "list", "nope"],
            ["checkpoint", "show", "shop", "nope"],
            ["restore", "shop", "@99"],
            ["ps", "nope"],
        ):
            ended = shop(*command)
            assert ended.returncode == 3, command
            assert "Traceback" not in ended.stderr

    def test_what_can_be_no_name_and_what_is_missing(self, shop: Run) -> None:
        for command in (
            ["checkpoint", "create", "No Pe"],
            ["checkpoint", "create", "shop", "--name", "No Pe"],
            ["checkpoint", "create"],
            ["checkpoint", "show", "shop"],
            ["checkpoint", "list", "shop", "--region", "x"],
            ["restore"],
        ):
            ended = shop(*command)
            assert ended.returncode == 2, command
            assert "Traceback" not in ended.stderr

    def test_durability_that_groups_do_not_keep_yet(self, shop: Run) -> None:
        ended = shop("checkpoint", "create", "shop", "--wait", "durable")
        assert ended.returncode == 1
        assert "durable" in ended.stderr


class TestBehindTheGroupsBack:
    def test_members_part_of_a_group_is_not_changed_behind_its_back(
        self, shop: Run, group: Group, agent: str
    ) -> None:
        shop("checkpoint", "create", "shop", "--name", "one")
        shop("checkpoint", "create", "shop", "--name", "two")
        group.end()
        pool = answer(shop("usage", "-o", "json"))["pool"]
        of_member = ("--pool", pool, "--region", "shop.a")
        for command in (["restore", "one"], ["checkpoint", "delete", "one", "--yes"]):
            ended = shop(*command, *of_member)
            assert ended.returncode == 1, command
            assert "part of a group checkpoint" in ended.stderr


class TestUnreachable:
    @pytest.mark.parametrize(
        "command", [["ps"], ["usage"], ["watch"], ["checkpoint", "list"], ["restore", "shop"]]
    )
    def test_no_service_exits_6_and_says_how_to_start_one(
        self, mmsnap: Run, tmp_path: Path, command: list[str]
    ) -> None:
        ended = mmsnap(*command, "--address", f"unix://{tmp_path}/agent.sock")
        assert ended.returncode == 6
        assert "mmsnap agent" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_addresses_that_are_none(self, mmsnap: Run) -> None:
        for address in ("tcp://localhost:9527", "unix:", "unix://" + "/x" * 60):
            assert mmsnap("ps", "--address", address).returncode == 2, address

    def test_another_machine_without_certificates_for_it(self, mmsnap: Run) -> None:
        refused = mmsnap("ps", "--address", "tls://10.0.0.1:7443")
        assert refused.returncode == 2
        assert "MMSNAP_TLS" in refused.stderr
        assert "Traceback" not in refused.stderr
