"""Checkpoints of programs under other names and in other pools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.process.network import network
from tests.process.programs import COUNTER
from tests.process.site import Site, await_true, site
from tests.process.test_networks import await_flow, flood

STRANGER = 12345


def test_a_clone_runs_beside_its_origin_with_connections_of_its_own(here: Site) -> None:
    old, new = ("10.9.0.1", "10.9.0.2"), ("10.9.1.7", "10.9.1.8")
    with network(*old, *new, delay_seconds=0.003, bytes_per_second=3e6) as namespaces:
        origin = flood(here, "g", namespaces[:2], old[0])
        here.checkpoint("g", "c")
        renamed = ("--member", "listen=connect", "--member", "connect=other")
        told = here.mmsnap("clone", "g", "c", "h", *renamed).stdout
        assert "restored when all have been started" in told
        clone = [
            here.run("h", role, "false", host=host)
            for role, host in zip(("connect", "other"), namespaces[2:], strict=True)
        ]
        await_flow(clone)
        await_flow(origin)
        here.checkpoint("h", "d")
        here.mmsnap("restore", "g", "c")
        await_flow([*origin, *clone])
        here.close()


def test_an_archive_stands_alone_in_another_pool(here: Site, tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-tree-", dir="/dev/shm"))
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", STRANGER, STRANGER)
    os.chmod(folder / "theirs", 0o2710)
    (folder / "theirs" / "file").write_text("kept")
    (folder / "link").symlink_to("theirs/file")
    try:
        words = [sys.executable, "-c", COUNTER, "8"]
        counter = here.run("g", "m", *words, options=("--files", str(folder)))
        for name in ("one", "two", "three"):
            await_true(lambda: len(counter.lines) > 5, "it counts")
            before = int(counter.lines[-1])
            here.checkpoint("g", name)
        assert here.manifest("g", "m", 3)["parent"] == 2
        after = int(counter.lines[-1])
        archive = tmp_path / "g.mmsnap"
        here.mmsnap("checkpoint", "export", "g", "three", str(archive))
        counter.kill_program()
        shutil.rmtree(folder / "theirs")
        with site() as there:
            there.mmsnap("checkpoint", "import", str(archive), "--as", "h")
            there.mmsnap("checkpoint", "verify", "h", "three")
            there.mmsnap("restore", "h", "three")
            again = there.run("h", "m", "false", options=("--files", str(folder)))
            await_true(lambda: len(again.lines) > 2, f"it counts on: {again.words}")
            assert before < int(again.lines[0]) <= after
            found = (folder / "theirs").stat()
            assert (found.st_uid, found.st_mode & 0o7777) == (STRANGER, 0o2710)
            assert (folder / "link").read_text() == "kept"
            assert not (there.pool / "exports").exists()
            there.checkpoint("h", "four")
        assert list((here.pool / "exports").iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_owners_of_captured_folders_outlive_a_deleted_parent(here: Site) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mmsnap-tree-", dir="/dev/shm"))
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", STRANGER, STRANGER)
    try:
        words = [sys.executable, "-c", COUNTER, "8"]
        counter = here.run("g", "m", *words, options=("--files", str(folder)))
        for name in ("one", "two"):
            await_true(lambda: len(counter.lines) > 5, "it counts")
            here.checkpoint("g", name)
        here.mmsnap("checkpoint", "delete", "g", "one", "--yes")
        (folder / "theirs").rmdir()
        here.mmsnap("restore", "g", "two")
        assert (folder / "theirs").stat().st_uid == STRANGER
    finally:
        shutil.rmtree(folder)


def test_an_import_that_finds_no_room_leaves_nothing(here: Site, tmp_path: Path) -> None:
    counter = here.run("g", "m", sys.executable, "-c", COUNTER, "64")
    await_true(lambda: len(counter.lines) > 2, "it counts")
    here.checkpoint("g", "c")
    archive = tmp_path / "g.mmsnap"
    here.mmsnap("checkpoint", "export", "g", "c", str(archive))
    with site() as there:
        there.agent.kill()
        there.agent.wait(20)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32M", "none", there.pool], check=True)
        try:
            there.start_agent()
            told = there.mmsnap("checkpoint", "import", str(archive), check=False)
            assert (told.returncode, "no room" in told.stderr) == (1, True), told.stderr
            assert list((there.pool / "processes").iterdir()) == []
            there.close()
        finally:
            subprocess.run(["umount", there.pool], check=True)
