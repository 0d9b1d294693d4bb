"""`mmsnap schedule` as people type it, and as they should not have."""

from __future__ import annotations

import json

from tests.cli.conftest import Run, wait_for
from tests.cli.shop import Group
from tests.cli.test_metrics import Watched, watched  # noqa: F401
from tests.cli.test_service import answer, group, shop  # noqa: F401


class TestSchedules:
    def test_a_schedule_is_set_shown_and_ended(self, shop: Run, group: Group) -> None:  # noqa: F811
        told = shop(
            *("schedule", "set", "shop", "--every", "100ms", "--keep-last", "3"),
            *("--keep-within", "1s", "--label", "by=me", "--max-pause", "5s"),
        )
        assert (told.returncode, told.stdout) == (
            0,
            "shop: every 100.0 ms, keeps the last 3 and 1.0 s\n",
        )

        def shown() -> dict[str, object]:
            (found,) = answer(shop("schedule", "show", "shop", "-o", "json"))
            return dict(found)

        wait_for(lambda: bool(shown()["last_checkpoint"]))
        told_of = shown()
        assert (told_of["every_ns"], told_of["keep_within_ns"]) == (10**8, 10**9)
        assert (told_of["labels"], told_of["consecutive_failures"]) == ({"by": "me"}, 0)
        table = shop("schedule", "show").stdout.splitlines()
        assert table[0].split() == [
            *("GROUP", "EVERY", "KEEPS", "NODE", "LAST", "FAILURES", "NOTES"),
        ]
        assert table[1].startswith("shop")
        assert shop("schedule", "off", "shop").returncode == 0
        assert shop("schedule", "off", "shop").returncode == 3

    def test_suspended_is_said(self, shop: Run, group: Group) -> None:  # noqa: F811
        shop("schedule", "set", "shop", "--every", "1h", "--suspended")
        assert "suspended" in shop("schedule", "show", "shop").stdout
        shop("schedule", "off", "shop")

    def test_exit_codes_tell_why(self, shop: Run, group: Group) -> None:  # noqa: F811
        for words, code in (
            (("set", "shop"), 2),
            (("set", "shop", "--every", "5"), 2),
            (("set", "shop", "--every", "1ms"), 2),
            (("set", "shop", "--every", "1s", "--keep-last", "0"), 2),
            (("set", "shop", "--every", "1s", "--label", "nothing"), 2),
            (("set", "nobody", "--every", "1s"), 3),
            (("show", "shop"), 3),
            (("show", "nobody"), 3),
            (("off", "shop"), 3),
            (("show", "shop", "--address", "unix:///nowhere.sock"), 6),
        ):
            told = shop("schedule", *words)
            assert told.returncode == code, (words, told.stderr)
            assert told.stderr
        assert json.loads(shop("schedule", "show", "-o", "json").stdout) == []


def test_runs_of_schedules_are_counted(watched: Watched) -> None:  # noqa: F811
    assert watched.metrics()["mmsnap_schedules"] == 0
    watched.do("schedule", "set", "shop", "--every", "100ms")
    committed = "mmsnap_schedule_runs_total result=committed"
    wait_for(lambda: watched.metrics()[committed] >= 3)
    told = watched.metrics()
    assert (told["mmsnap_schedules"], told["mmsnap_schedules_failing"]) == (1, 0)
    assert told["mmsnap_schedule_late_seconds_count"] >= 3
