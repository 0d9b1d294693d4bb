"""Steps around a cut: taken in order, undone in reverse, whatever happens to the cut."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmsnap.errors import MmsnapError, QuiesceTimeoutError
from mmsnap.profiles import NO_PROFILE, Profile, Step, choose
from tests.process.programs import COUNTER
from tests.process.site import Site, await_true


def recording(log: list[str], fails: str = "") -> Profile:
    def action(word: str) -> object:
        def act(_seconds: float) -> None:
            log.append(word)
            if word == fails:
                raise OSError("it did not work")

        return act

    return Profile(
        "test",
        [Step(name, action(name), action(f"undo {name}")) for name in ("one", "two")],  # type: ignore[arg-type]
        [Step("check", action("check"))],  # type: ignore[arg-type]
    )


def test_undone_in_reverse_after_the_cut() -> None:
    log: list[str] = []
    profile = recording(log)
    profile.before_checkpoint(5)
    profile.after_checkpoint(True)
    profile.after_checkpoint(True)
    assert log == ["one", "two", "undo two", "undo one"]
    assert profile.is_application
    assert not NO_PROFILE.is_application


def test_a_step_that_fails_undoes_all_that_were_begun() -> None:
    log: list[str] = []
    with pytest.raises(MmsnapError, match="step two: it did not work"):
        recording(log, fails="two").before_checkpoint(5)
    assert log == ["one", "two", "undo two", "undo one"]


def test_an_undo_that_fails_keeps_no_other_from_it() -> None:
    log: list[str] = []
    profile = recording(log, fails="undo two")
    profile.before_checkpoint(5)
    profile.after_checkpoint(False)
    assert log[-1] == "undo one"


def test_after_a_restore_the_steps_are_undone_and_it_is_checked() -> None:
    log: list[str] = []
    recording(log).after_restore()
    assert log == ["undo two", "undo one", "check"]


def test_a_command_that_hangs_ends_with_its_timeout(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[[step]]\nname = "slow"\nbefore = ["sleep", "9"]\ntimeout = "100ms"\n')
    with pytest.raises(QuiesceTimeoutError, match="step slow: sleep did not end"):
        choose(str(file)).before_checkpoint(5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("step = 1 =", "is no TOML"),
        ('[[step]]\nbefore = ["true"]', "needs a name"),
        ('[[step]]\nname = "a"\nbefor = ["true"]', "'befor' is not known"),
        ('[[step]]\nname = "a"\nbefore = "true"', "a command is a list"),
        ("[steps]", "are known, not steps"),
    ],
)
def test_a_file_that_is_wrong_says_what(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=told):
        choose(str(file))


@pytest.mark.parametrize(
    ("name", "options"),
    [("oracle", ""), ("hazelcast", "--pause"), ("redis", "port=1"), ("redis", "word")],
)
def test_unknown_profiles_and_options_are_refused(name: str, options: str) -> None:
    with pytest.raises(ValueError, match=r"profile|option"):
        choose(name, options)


def test_a_program_with_steps_is_application_consistent(here: Site) -> None:
    log = here.folder / "steps"
    options = f"'before=sh -c \"echo before >> {log}\"' 'after=sh -c \"echo after >> {log}\"'"
    shim = here.run(
        "g", "a", sys.executable, "-c", COUNTER, "4",
        options=("--profile", "generic", "--profile-options", options),
    )  # fmt: skip
    await_true(lambda: len(shim.lines) > 3, "it counts")
    assert here.checkpoint("g", "c")["consistency"] == "application"
    await_true(lambda: log.read_text().split() == ["before", "after"], "the step was undone")
