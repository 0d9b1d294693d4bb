"""The copy that pods start from: whole or not there, and executable for everybody."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest


def _install(init: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [init, "--install", folder],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.umask(0o077),
    )


def test_the_copy_is_whole_and_executable_for_everybody(init: Path, tmp_path: Path) -> None:
    assert _install(init, tmp_path).returncode == 0
    copy = tmp_path / "mmsnap-init"
    assert copy.read_bytes() == init.read_bytes()
    assert copy.stat().st_mode & 0o7777 == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["mmsnap-init"]
    assert subprocess.run([copy, "--", "true"], check=False).returncode == 0


def test_a_copy_that_runs_is_replaced(init: Path, tmp_path: Path) -> None:
    assert _install(init, tmp_path).returncode == 0
    copy = tmp_path / "mmsnap-init"
    with subprocess.Popen([copy, "--", "cat"], stdin=subprocess.PIPE) as process:
        done = subprocess.run([copy, "--install", tmp_path], check=False)
        assert done.returncode == 0
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def test_whoever_looks_never_sees_half_of_it(init: Path, tmp_path: Path) -> None:
    assert _install(init, tmp_path).returncode == 0
    size, over = init.stat().st_size, threading.Event()
    seen: set[int] = set()

    def look() -> None:
        while not over.is_set():
            seen.add((tmp_path / "mmsnap-init").stat().st_size)

    looker = threading.Thread(target=look)
    looker.start()
    for _ in range(20):
        assert _install(init, tmp_path).returncode == 0
    over.set()
    looker.join()
    assert seen == {size}


@pytest.mark.parametrize("name", ["missing", "file/below", "x" * 5000])
def test_a_folder_that_is_none_is_told(init: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    done = _install(init, tmp_path / name)
    assert done.returncode == 1
    assert done.stderr.startswith(f"mmsnap-init: {tmp_path}/{name}: ")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_full_folder_keeps_nothing_of_a_failed_copy(init: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mount = "mount -t tmpfs -o size=64k none $1 && $2 --install $1; echo $?; ls -A $1"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", tmp_path, init],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert "No space left" in done.stderr
