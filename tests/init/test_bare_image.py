"""In an image that has nothing: no libc, no shell, no /proc, no /dev, and as nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def image(init: Path, tmp_path: Path) -> Path:
    """A root folder with mmsnap-init only."""
    if os.geteuid() != 0:
        pytest.skip("a root folder of its own needs root")
    root = tmp_path / "image"
    root.mkdir()
    shutil.copy(init, root / "init")
    root.chmod(0o555)
    return root


def _enter(image: Path, *words: str) -> subprocess.CompletedProcess[str]:
    def become_nobody() -> None:
        os.chroot(image)
        os.chdir("/")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    return subprocess.run(
        words,
        executable="/init",
        env={},
        preexec_fn=become_nobody,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_program_runs_and_its_end_is_told(image: Path) -> None:
    """The program is the only one there is: mmsnap-init itself."""
    done = _enter(image, "/init", "--", "/init", "--", "/init", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("mmsnap-init ")


def test_what_is_missing_is_told_there_too(image: Path) -> None:
    done = _enter(image, "/init", "--", "program")
    assert (done.returncode, done.stderr) == (
        127,
        "mmsnap-init: program: No such file or directory\n",
    )


def test_a_script_without_a_shell_is_not_executable(image: Path) -> None:
    (image / "script").write_text("exit 0\n")
    (image / "script").chmod(0o755)
    assert _enter(image, "/init", "--", "/script").returncode in (126, 127)


def test_it_installs_itself_into_a_shared_folder(image: Path) -> None:
    image.chmod(0o755)
    shared = image / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    done = _enter(image, "/init", "--install", "/shared")
    assert (done.returncode, done.stderr) == (0, "")
    assert (shared / "mmsnap-init").read_bytes() == (image / "init").read_bytes()


def test_it_holds_to_no_library(init: Path) -> None:
    told = subprocess.run(["readelf", "-ld", init], capture_output=True, text=True, check=True)
    assert "INTERP" not in told.stdout
    assert "NEEDED" not in told.stdout
