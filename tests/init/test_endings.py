"""Whoever waits for mmsnap-init must learn how the program ended, and why it did not start."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_an_exit_code_must_not_be_lost(run: Run, code: int) -> None:
    assert run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_death_by_signal_must_not_look_like_success(run: Run, number: int) -> None:
    assert run("sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


def test_a_program_that_is_not_there_is_told_from_one_that_failed(run: Run) -> None:
    done = run("no-such-program")
    assert done.returncode == 127
    assert done.stderr == b"mmsnap-init: no-such-program: No such file or directory\n"
    assert run("/no/such/program").returncode == 127


def test_a_file_that_is_no_program_is_told_from_one_that_is_not_there(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("words")
    for name in (tmp_path / "plain", tmp_path):
        done = run(name)
        assert done.returncode == 126
        assert b"Permission denied" in done.stderr


def test_a_script_without_its_first_line_runs_as_in_a_shell(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$@"; exit 5\n')
    script.chmod(0o755)
    done = run(script, "one", "two words")
    assert (done.returncode, done.stdout) == (5, f"{script} one two words\n".encode())


def test_a_script_whose_interpreter_is_gone_is_not_found(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert run(script).returncode == 127


def test_the_path_is_searched_in_its_order(run: Run, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text(f"#!/bin/sh\necho {name}\n")
    (tmp_path / "second/tool").chmod(0o755)
    path = f"{tmp_path / 'first'}:{tmp_path / 'second'}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    assert run("tool", env=environment).stdout == b"second\n", (
        "one that is not executable is passed over"
    )
    (tmp_path / "first/tool").chmod(0o755)
    assert run("tool", env=environment).stdout == b"first\n"


def test_without_a_path_the_system_is_searched(run: Run) -> None:
    assert run("true", env={}).returncode == 0


def test_a_huge_argument_list_comes_through_whole(run: Run) -> None:
    words = ["x" * 100_000] * 15 + [""]
    script = "import sys; print(len(sys.argv), sum(map(len, sys.argv[1:])), repr(sys.argv[-1]))"
    done = run("python3", "-c", script, *words)
    assert done.stdout == b"17 1500000 ''\n"


@pytest.mark.parametrize("words", [[], ["--"], ["--install"], ["program"], ["--help", "more"]])
def test_a_wrong_call_is_explained_and_fails(init: Path, words: list[str]) -> None:
    done = subprocess.run([init, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert done.stderr.startswith("Usage: mmsnap-init -- COMMAND")


def test_help_and_version_go_to_standard_output(init: Path) -> None:
    for word, start in (("--help", "Usage:"), ("--version", "mmsnap-init 0.")):
        done = subprocess.run([init, word], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(start)


def test_a_program_does_not_outlive_the_killing_of_its_parent(init: Path, tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    with subprocess.Popen([init, "--", "sh", "-c", script], stdout=subprocess.PIPE) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            pass
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b"", "the pipe ends when the program does"
