"""The checkpoint commands on a pool, without any service."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

import mmsnap as library
from tests.cli.conftest import MMSNAP, Run, Terminal


def names(mmsnap: Run, pool: Path) -> list[str]:
    shown = mmsnap("checkpoint", "list", "--pool", pool, "-o", "json")
    assert shown.returncode == 0, shown.stderr
    return [checkpoint["name"] for checkpoint in json.loads(shown.stdout)]


def hits(pool: Path, at: str | None = None) -> int:
    with library.open(pool, "counter", mode="r", at=at) as app:
        return int(app.arrays["hits"][0])


class TestReading:
    def test_list_beside_a_live_writer(self, mmsnap: Run, pool: Path) -> None:
        with library.open(pool, "counter") as app:
            app.checkpoint("live")
            assert names(mmsnap, pool)[:2] == ["one", "two"]
            assert "live" in names(mmsnap, pool)

    def test_table_for_people_has_each_checkpoint_on_a_line(self, mmsnap: Run, pool: Path) -> None:
        lines = mmsnap("checkpoint", "list", "--pool", pool).stdout.splitlines()
        assert lines[0].split()[:3] == ["OF", "NAME", "EPOCH"]
        assert [line.split()[:3] for line in lines[1:3]] == [
            ["counter", "one", "1"],
            ["counter", "two", "2"],
        ]
        assert lines[3].rstrip().endswith("head, automatic")

    def test_json_for_programs_has_units_and_all_fields(self, mmsnap: Run, pool: Path) -> None:
        shown = mmsnap("checkpoint", "show", "two", "--pool", pool, "-o", "json")
        checkpoint = json.loads(shown.stdout)
        assert (checkpoint["name"], checkpoint["epoch"], checkpoint["parent"]) == ("two", 2, 1)
        assert checkpoint["pause_ns"] > 0
        assert checkpoint["bytes_written"] > 0
        assert checkpoint["consistency"] == "application"
        assert checkpoint["durability"] == "captured"
        assert checkpoint["head"] is False

    def test_checkpoint_by_epoch_and_latest(self, mmsnap: Run, pool: Path) -> None:
        for asked, epoch in (("@1", "1"), ("latest", "3")):
            shown = mmsnap("checkpoint", "show", asked, "--pool", pool)
            assert f"epoch        {epoch}, on top of" in shown.stdout

    def test_table_in_a_pipe_is_not_cut(self, mmsnap: Run, pool: Path) -> None:
        with library.open(pool, "counter") as app:
            app.checkpoint("n" * 63)
        assert "n" * 63 in mmsnap("checkpoint", "list", "--pool", pool).stdout

    def test_reader_that_closes_the_pipe_early(
        self, environment: dict[str, str], pool: Path
    ) -> None:
        with library.open(pool, "counter") as app:
            for _ in range(300):
                app.checkpoint()
        ended = subprocess.run(
            f"mmsnap checkpoint list --pool {pool} -o json | head -1",
            shell=True,
            env=environment | {"PATH": f"{MMSNAP.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == "[\n"
        assert ended.stderr == ""

    def test_usage_names_base_and_older_checkpoints(self, mmsnap: Run, pool: Path) -> None:
        used = json.loads(mmsnap("usage", "--pool", pool, "-o", "json").stdout)["counter"]
        assert used["checkpoint_count"] == 3
        assert used["base_bytes"] > 0
        assert used["delta_bytes"] > 0


class TestSeveralRegions:
    def test_region_left_out_names_the_choice(self, mmsnap: Run, pool: Path) -> None:
        library.open(pool, "other", size="1MiB").close()
        ended = mmsnap("checkpoint", "show", "one", "--pool", pool)
        assert ended.returncode == 2
        assert "counter, other" in ended.stderr

    def test_list_shows_all_regions_with_their_names(self, mmsnap: Run, pool: Path) -> None:
        library.open(pool, "other", size="1MiB").close()
        assert len(names(mmsnap, pool)) == 4
        shown = mmsnap("checkpoint", "list", "--pool", pool, "--region", "other", "-o", "json")
        assert {each["of"] for each in json.loads(shown.stdout)} == {"other"}


class TestChanging:
    def test_create_names_the_head(self, mmsnap: Run, pool: Path) -> None:
        ended = mmsnap("checkpoint", "create", "--pool", pool, "--name", "release")
        assert ended.returncode == 0
        assert ended.stdout.startswith("release @4")
        assert hits(pool, "release") == 3

    def test_restore_makes_the_next_start_begin_there(self, mmsnap: Run, pool: Path) -> None:
        assert mmsnap("restore", "one", "--pool", pool).returncode == 0
        with library.open(pool, "counter") as app:
            assert app.restored is not None
            assert app.restored.name == "one"
            assert app.arrays["hits"][0] == 1

    def test_delete_keeps_the_others_whole(self, mmsnap: Run, pool: Path) -> None:
        assert mmsnap("checkpoint", "delete", "two", "--pool", pool, "--yes").returncode == 0
        assert "two" not in names(mmsnap, pool)
        assert hits(pool, "one") == 1
        assert hits(pool) == 3

    def test_prune_spares_names_pins_and_the_head(self, mmsnap: Run, pool: Path) -> None:
        with library.open(pool, "counter") as app:
            automatic = [app.checkpoint().name for _ in range(4)]
            app.pin(automatic[0])
            app.close(checkpoint=False)
        prune = ("checkpoint", "prune", "--pool", pool, "--keep-last", "2")
        before = names(mmsnap, pool)
        assert "would go" in mmsnap(*prune, "--dry-run").stdout
        assert names(mmsnap, pool) == before
        assert mmsnap(*prune, "--yes").returncode == 0
        assert names(mmsnap, pool) == ["one", "two", automatic[0], *automatic[2:]]

    def test_unpinned_checkpoint_can_be_pruned_again(self, mmsnap: Run, pool: Path) -> None:
        automatic = names(mmsnap, pool)[2]
        mmsnap("checkpoint", "create", "--pool", pool, "--name", "head")
        prune = ("checkpoint", "prune", "--pool", pool, "--keep-last", "0", "--yes")
        assert mmsnap("checkpoint", "pin", automatic, "--pool", pool).returncode == 0
        mmsnap(*prune)
        assert automatic in names(mmsnap, pool)
        assert mmsnap("checkpoint", "unpin", automatic, "--pool", pool).returncode == 0
        mmsnap(*prune)
        assert automatic not in names(mmsnap, pool)

    def test_change_beside_a_live_writer_names_its_process(self, mmsnap: Run, pool: Path) -> None:
        with library.open(pool, "counter"):
            ended = mmsnap("checkpoint", "delete", "one", "--pool", pool, "--yes")
        assert ended.returncode == 1
        assert str(os.getpid()) in ended.stderr
        assert "one" in names(mmsnap, pool)


class TestAsking:
    def test_delete_without_anybody_to_ask_deletes_nothing(self, mmsnap: Run, pool: Path) -> None:
        ended = mmsnap("checkpoint", "delete", "one", "--pool", pool)
        assert ended.returncode == 2
        assert "--yes" in ended.stderr
        assert "one" in names(mmsnap, pool)

    def test_answer_no_deletes_nothing(
        self, mmsnap: Run, on_terminal: Callable[..., Terminal], pool: Path
    ) -> None:
        terminal = on_terminal("checkpoint", "delete", "one", "--pool", pool)
        terminal.read_until("Delete checkpoint one of counter? [y/N]")
        terminal.type("n\n")
        assert terminal.end() == 1
        assert "one" in names(mmsnap, pool)

    def test_answer_yes_deletes(
        self, mmsnap: Run, on_terminal: Callable[..., Terminal], pool: Path
    ) -> None:
        terminal = on_terminal("checkpoint", "delete", "one", "--pool", pool)
        terminal.read_until("[y/N]")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "one" not in names(mmsnap, pool)

    def test_restore_asks_on_a_terminal(
        self, on_terminal: Callable[..., Terminal], pool: Path
    ) -> None:
        terminal = on_terminal("restore", "one", "--pool", pool)
        terminal.read_until("What was done since is lost. [y/N]")
        terminal.type("n\n")
        assert terminal.end() == 1
        assert hits(pool) == 3


class TestBadInput:
    def test_checkpoint_that_is_not_there(self, mmsnap: Run, pool: Path) -> None:
        for verb in ("show", "verify", "delete", "pin"):
            ended = mmsnap("checkpoint", verb, "nope", "--pool", pool)
            assert ended.returncode == 3, verb
            assert "no checkpoint nope" in ended.stderr
            assert "hint:" in ended.stderr
        assert mmsnap("restore", "@77", "--pool", pool).returncode == 3

    def test_folder_that_is_no_pool(self, mmsnap: Run, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "nowhere"):
            ended = mmsnap("checkpoint", "list", "--pool", folder)
            assert ended.returncode == 3
            assert str(folder) in ended.stderr

    def test_region_that_is_not_there_names_those_that_are(self, mmsnap: Run, pool: Path) -> None:
        ended = mmsnap("checkpoint", "list", "--pool", pool, "--region", "nope")
        assert ended.returncode == 3
        assert "it has counter" in ended.stderr

    def test_head_can_not_be_deleted(self, mmsnap: Run, pool: Path) -> None:
        ended = mmsnap("checkpoint", "delete", "latest", "--pool", pool, "--yes")
        assert ended.returncode == 2
        assert "head" in ended.stderr

    def test_group_and_pool_together(self, mmsnap: Run, pool: Path) -> None:
        for verb in ("show", "verify"):
            ended = mmsnap("checkpoint", verb, "shop", "one", "--pool", pool)
            assert ended.returncode == 2
            assert "takes the place of the group" in ended.stderr
        for verb in (["create"], ["list"], ["prune", "--keep-last", "1"]):
            assert mmsnap("checkpoint", *verb, "shop", "--pool", pool).returncode == 2

    def test_names_that_no_checkpoint_can_have(self, mmsnap: Run, pool: Path) -> None:
        for name in ("latest", "Upper", "with space", "-dash", "n" * 64, "ü", ""):
            ended = mmsnap("checkpoint", "create", "--pool", pool, "--name", name)
            assert ended.returncode == 2, name
        assert len(names(mmsnap, pool)) == 3

    def test_name_that_is_taken(self, mmsnap: Run, pool: Path) -> None:
        ended = mmsnap("checkpoint", "create", "--pool", pool, "--name", "one")
        assert ended.returncode == 1
        assert "already" in ended.stderr

    def test_durations_that_are_none(self, mmsnap: Run, pool: Path) -> None:
        for text in ("5", "5x", "-1s", "soon"):
            ended = mmsnap("checkpoint", "create", "--pool", pool, "--max-pause", text)
            assert ended.returncode == 2, text
            assert '"50ms"' in ended.stderr

    def test_prune_without_a_rule_deletes_nothing(self, mmsnap: Run, pool: Path) -> None:
        assert mmsnap("checkpoint", "prune", "--pool", pool, "--yes").returncode == 2
        assert len(names(mmsnap, pool)) == 3

    def test_durability_that_memory_can_not_keep(self, mmsnap: Run, pool: Path) -> None:
        for verb in (["create", "--wait", "durable"], ["wait", "one"]):
            ended = mmsnap("checkpoint", *verb, "--pool", pool)
            assert ended.returncode == 1
            assert "does not survive a restart" in ended.stderr

    def test_pause_over_budget_keeps_everything(self, mmsnap: Run, pool: Path) -> None:
        ended = mmsnap("checkpoint", "create", "--pool", pool, "--max-pause", "1ns")
        assert ended.returncode == 4
        assert len(names(mmsnap, pool)) == 3


class TestDamage:
    def test_flipped_byte_is_named_and_exits_5(self, mmsnap: Run, pool: Path) -> None:
        assert mmsnap("checkpoint", "verify", "latest", "--pool", pool).returncode == 0
        base = pool / "regions" / "counter" / "base"
        damaged = bytearray(base.read_bytes())
        position = int(np.flatnonzero(np.frombuffer(damaged, np.uint8))[-1])
        damaged[position] ^= 0x40
        base.write_bytes(damaged)
        ended = mmsnap("checkpoint", "verify", "latest", "--pool", pool)
        assert ended.returncode == 5
        assert "base" in ended.stderr
        assert "Traceback" not in ended.stderr
