"""Outputs that a restore finds again: pipes of mmsnap-init, and nothing to notice."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.init.conftest import LIMIT_SECONDS, Start, wait_for_line

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def test_the_program_holds_pipes_of_its_parent(
    start: Start, tmp_path: Path, owned: dict[str, str]
) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        process = start("sh", "-c", "sleep 60", stdout=out, stderr=err, env=owned)
        time.sleep(0.3)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ours = {os.readlink(file) for file in Path(f"/proc/{process.pid}/fd").iterdir()}
        for fd in (1, 2):
            target = os.readlink(f"/proc/{children[0]}/fd/{fd}")
            assert target.startswith("pipe:")
            assert target in ours, "it stays when the program is gone"


@pytest.mark.parametrize(
    "changed",
    [{"MMSNAP_ENGINE": "memory"}, {"MMSNAP_ADDRESS": "10.0.0.1:9527"}, {"MMSNAP_ADDRESS": ""}],
)
def test_without_being_asked_it_leaves_them_alone(
    run: Run, changed: dict[str, str], owned: dict[str, str]
) -> None:
    script = "for i in $(seq 50); do [ -e /proc/$PPID/fd/1 ] || exit 5; sleep 0.1; done"
    done = run("sh", "-c", script, env=owned | changed)
    assert done.returncode == 5, "mmsnap-init holds none"


def test_every_byte_comes_through_to_the_last(run: Run, owned: dict[str, str]) -> None:
    script = (
        "import os, sys, hashlib\n"
        "sent = os.urandom(1 << 20)\n"
        "for _ in range(20): sys.stdout.buffer.write(sent), os.write(2, sent[:999])\n"
        "sys.stdout.flush(), os.write(2, hashlib.sha256(sent * 20).hexdigest().encode())"
    )
    done = run("python3", "-c", script, env=owned)
    assert hashlib.sha256(done.stdout).hexdigest().encode() == done.stderr[20 * 999 :]


def test_one_place_for_both_keeps_the_order(run: Run, owned: dict[str, str]) -> None:
    script = "for i in $(seq 300); do echo out $i; echo err $i >&2; done"
    done = run(
        "sh",
        "-c",
        script,
        env=owned,
        capture_output=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    expected = [f"{word} {i}" for i in range(1, 301) for word in ("out", "err")]
    assert done.stdout.decode().splitlines() == expected


def test_a_reader_that_goes_away_is_noticed_by_the_program(
    start: Start, owned: dict[str, str]
) -> None:
    process = start("yes", env=owned)
    assert wait_for_line(process) == "y"
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGPIPE


def test_a_reader_that_stands_still_does_not_keep_signals_from_the_program(
    start: Start, owned: dict[str, str]
) -> None:
    process = start("yes", env=owned)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.stdout is not None
    while process.stdout.read(1 << 16):
        pass
    assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM


def test_an_orphan_that_holds_the_pipe_does_not_hold_up_the_end(
    start: Start, owned: dict[str, str]
) -> None:
    begun = time.monotonic()
    process = start("sh", "-c", "sleep 20 & echo $!; exit 3", env=owned)
    orphan = int(wait_for_line(process))
    assert process.wait(LIMIT_SECONDS) == 3
    assert time.monotonic() - begun < 3
    os.kill(orphan, signal.SIGKILL)


def test_output_into_a_file_is_appended_in_its_place(
    init: Path, tmp_path: Path, owned: dict[str, str]
) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("ab") as opened:
        subprocess.run([init, "--", "echo", "after"], env=owned, stdout=opened, check=True)
    assert log.read_text() == "before\nafter\n"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_files_stay_closed_and_the_others_work(
    init: Path, closed: tuple[int, ...], owned: dict[str, str]
) -> None:
    # (Its standard input is never the container's.)
    look = "".join(f"[ -e /proc/$$/fd/{fd} ] && exit 4; " for fd in closed if fd)
    shut = "".join(f" {fd}>&-" for fd in closed)
    script = f"exec '{init}' -- sh -c '{look} echo out; echo err >&2; exit 3' {shut}"
    done = subprocess.run(["sh", "-c", script], env=owned, capture_output=True, check=False)
    assert done.returncode == 3
    assert done.stdout == (b"" if 1 in closed else b"out\n")
    assert done.stderr.endswith(b"" if 2 in closed else b"err\n")


def test_what_does_not_start_is_told_through_the_pipe(run: Run, owned: dict[str, str]) -> None:
    done = run("no-such-program", env=owned)
    assert done.returncode == 127
    assert b"no-such-program" in done.stderr
