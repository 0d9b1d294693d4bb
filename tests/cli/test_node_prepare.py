"""`mmsnap node prepare`, `check` and `clear`, as root in a mount namespace of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MMSNAP = Path(sys.executable).with_name("mmsnap")
GIB = 1 << 30

Node = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machine() -> Iterator[int]:
    """A process whose mounts nobody else sees."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    with subprocess.Popen(["unshare", "--mount", "sleep", "600"]) as sleeper:
        own = os.stat("/proc/self/ns/mnt").st_ino
        while os.stat(f"/proc/{sleeper.pid}/ns/mnt").st_ino == own:
            pass
        yield sleeper.pid
        sleeper.kill()


@pytest.fixture
def inside(machine: int) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program among those mounts."""

    def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", f"--mount=/proc/{machine}/ns/mnt", *words],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def node(inside: Node, tmp_path: Path) -> Node:
    """`mmsnap node VERB …` for the folder `node` of the test."""

    def run(verb: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        fstab = ("--fstab", str(tmp_path / "fstab")) if verb == "prepare" else ()
        folder = ("--mm-data-dir", str(tmp_path / "node"))
        return inside(MMSNAP, "node", verb, *folder, *fstab, *options, **environment)

    return run


def emulated(node: Node, gib: int = 1, *options: str) -> subprocess.CompletedProcess[str]:
    return node("prepare", "--pmem-emulation", "--mm-capacity", str(gib), *options)


def report(done: subprocess.CompletedProcess[str], file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    assert found["message"] in done.stdout + done.stderr
    return found


def test_memory_of_that_size_is_there_now_and_after_a_restart(
    node: Node, inside: Node, tmp_path: Path
) -> None:
    (tmp_path / "fstab").write_text("# mine\n/dev/sda1 / ext4 defaults 0 1\n")
    done = emulated(node)
    assert done.returncode == 0, done.stderr
    pool = tmp_path / "node" / "pool"
    size = inside("stat", "--file-system", "--format=%T %b %S", pool).stdout.split()
    assert size[0] == "tmpfs"
    assert int(size[1]) * int(size[2]) == GIB

    assert (tmp_path / "fstab").read_text().startswith("# mine\n/dev/sda1 / ext4")
    assert inside("umount", pool).returncode == 0  # the machine restarts
    mounted = inside("mount", "--all", "--fstab", tmp_path / "fstab", "--types", "tmpfs")
    assert mounted.returncode == 0, mounted.stderr
    assert node("check", "--pmem-emulation").returncode == 0


def test_again_changes_only_the_size(node: Node, inside: Node, tmp_path: Path) -> None:
    emulated(node)
    inside("touch", tmp_path / "node/pool/kept")
    before = (tmp_path / "fstab").read_text()
    assert emulated(node).returncode == 0
    assert (tmp_path / "fstab").read_text() == before
    assert emulated(node, 2).returncode == 0
    assert len((tmp_path / "fstab").read_text().splitlines()) == 1
    told = inside("findmnt", "--noheadings", "--output", "OPTIONS", tmp_path / "node/pool").stdout
    assert f"size={2 * GIB >> 10}k" in told
    assert told.count("\n") == 1  # not mounted twice, one over the other
    assert inside("ls", tmp_path / "node/pool").stdout == "kept\n"


def test_more_than_the_machine_has_is_refused_with_figures(node: Node, tmp_path: Path) -> None:
    done = emulated(node, 100_000)
    assert done.returncode == 1
    assert "97.7 TiB" in done.stderr
    assert "this machine has" in done.stderr
    checked = node("check", "--pmem-emulation", "--report", str(tmp_path / "report"))
    assert checked.returncode == 1
    told = report(checked, tmp_path / "report")
    assert told["reason"] == "PreparationRefused"
    assert "97.7 TiB" in told["message"]
    assert emulated(node).returncode == 0  # and a smaller one is taken
    assert node("check", "--pmem-emulation").returncode == 0


def test_hugepages_are_refused_and_nothing_is_mounted(node: Node, tmp_path: Path) -> None:
    done = emulated(node, 1, "--use-hugepage")
    assert done.returncode == 1
    assert "hugepages" in done.stderr
    assert not (tmp_path / "node").exists()


def test_disk_is_no_pmem(node: Node) -> None:
    done = node("prepare", "--mm-capacity", "1")
    assert done.returncode == 1
    assert "dax" in done.stderr
    assert "--pmem-emulation" in done.stderr


def test_what_means_nothing_is_said_and_does_no_harm(node: Node) -> None:
    done = emulated(node, 1, "--pause-image", "x", "--namespace", "y", "--pull-secret", "z")
    assert done.returncode == 0
    for option in ("--pause-image", "--namespace", "--pull-secret"):
        assert f"{option} means nothing here" in done.stderr


def test_dry_run_changes_nothing(node: Node, tmp_path: Path) -> None:
    assert "would prepare 1.0 GiB" in emulated(node, 1, "--dry-run").stdout
    assert emulated(node, 100_000, "--dry-run").returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_undo_leaves_the_machine_as_it_was(node: Node, tmp_path: Path) -> None:
    (tmp_path / "fstab").write_text("# mine\n")
    emulated(node)
    assert node("prepare", "--undo", "--yes").returncode == 0
    assert (tmp_path / "fstab").read_text() == "# mine\n"
    assert not (tmp_path / "node").exists()
    assert "was not prepared" in node("prepare", "--undo", "--yes").stdout


def test_undo_leaves_what_the_administrator_mounted(
    node: Node, inside: Node, tmp_path: Path
) -> None:
    (tmp_path / "node").mkdir()
    inside("mount", "-t", "tmpfs", "mine", tmp_path / "node")
    emulated(node)
    done = node("prepare", "--undo", "--yes")
    assert done.returncode == 0, done.stderr
    assert inside("ls", "-A", tmp_path / "node").stdout == ""
    assert inside("mountpoint", tmp_path / "node").returncode == 0


def test_undo_asks_before_it_loses_checkpoints(node: Node, inside: Node, tmp_path: Path) -> None:
    emulated(node)
    checkpoint(inside, tmp_path / "node/pool")
    refused = node("prepare", "--undo")
    assert refused.returncode == 2
    assert inside("test", "-e", tmp_path / "node/pool/mmsnap.pool").returncode == 0


def test_undo_does_not_pull_the_pool_from_under_an_agent(
    machine: int, node: Node, tmp_path: Path
) -> None:
    emulated(node)
    script = f"import time; from mmsnap.node.pool_lock import PoolLock; from pathlib import Path; \
lock = PoolLock(Path({str(tmp_path / 'node/pool')!r})); print(flush=True); time.sleep(60)"
    words = ["nsenter", f"--mount=/proc/{machine}/ns/mnt", sys.executable, "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        done = node("prepare", "--undo", "--yes")
        cleared = node("clear", "--yes")
        agent.kill()
    assert done.returncode == 1
    assert cleared.returncode == 1
    assert "has a node service already" in done.stderr


def test_node_that_was_not_prepared_is_told_what_to_do(node: Node, tmp_path: Path) -> None:
    done = node("check", "--report", str(tmp_path / "report"))
    assert done.returncode == 1
    told = report(done, tmp_path / "report")
    assert told["reason"] == "NodeNotPrepared"
    assert "mmsnap node prepare" in told["message"]


def test_pool_that_was_not_mounted_after_a_restart_is_no_pool(
    node: Node, inside: Node, tmp_path: Path
) -> None:
    emulated(node)
    inside("umount", tmp_path / "node/pool")
    done = node("check", "--pmem-emulation", "--report", str(tmp_path / "report"))
    assert report(done, tmp_path / "report")["reason"] == "NodeNotPrepared"


def test_memory_does_not_pass_for_pmem(node: Node, tmp_path: Path) -> None:
    emulated(node)
    done = node("check", "--report", str(tmp_path / "report"))
    assert report(done, tmp_path / "report")["reason"] == "EmulationNotAllowed"


@pytest.mark.parametrize("kernel", ["no-userfaultfd", "no-wp-async", "no-pagemap-scan"])
def test_kernel_without_a_feature_is_named(node: Node, tmp_path: Path, kernel: str) -> None:
    emulated(node)
    file = str(tmp_path / "report")
    done = node("check", "--pmem-emulation", "--report", file, MMSNAP_SIMULATE_KERNEL=kernel)
    assert report(done, tmp_path / "report")["reason"] == "KernelFeatureMissing"
    refused = node(
        "prepare", "--pmem-emulation", "--mm-capacity", "1", MMSNAP_SIMULATE_KERNEL=kernel
    )
    assert refused.returncode == 1


def checkpoint(inside: Node, pool: Path) -> None:
    script = f"""
import numpy as np, mmsnap
with mmsnap.open({str(pool)!r}, "counter", size="1MiB") as app:
    app.array("hits", (8,), np.int64)[:] = 1
"""
    done = inside(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr


def test_clear_keeps_a_pool_with_checkpoints_and_says_how_many(
    node: Node, inside: Node, tmp_path: Path
) -> None:
    emulated(node)
    folder = tmp_path / "node"
    checkpoint(inside, folder / "pool")
    inside("mkdir", "-p", folder / "pool/pods/1234")
    inside("touch", folder / "agent.sock")
    done = node("clear", "--yes", "--report", str(tmp_path / "report"))
    assert done.returncode == 0, done.stderr
    assert report(done, tmp_path / "report")["kept"] == 1
    assert inside("ls", folder).stdout.split() == ["pool", "prepared.json"]
    assert "pods" not in inside("ls", folder / "pool").stdout
    listed = inside(MMSNAP, "checkpoint", "list", "--pool", folder / "pool")
    assert listed.returncode == 0
    assert "counter" in listed.stdout


def test_clear_empties_a_pool_without_checkpoints(node: Node, inside: Node, tmp_path: Path) -> None:
    emulated(node)
    pool = tmp_path / "node/pool"
    checkpoint(inside, pool)
    inside("rm", "-r", pool / "regions")
    inside("touch", pool / "catalog.db", pool / "agent.lock")
    done = node("clear", "--yes", "--report", str(tmp_path / "report"))
    assert report(done, tmp_path / "report")["kept"] == 0
    assert inside("ls", "-A", pool).stdout == ""


def test_clear_keeps_what_it_can_not_read(node: Node, inside: Node, tmp_path: Path) -> None:
    emulated(node)
    pool = tmp_path / "node/pool"
    checkpoint(inside, pool)
    inside("truncate", "--size=0", pool / "regions/counter/journal")
    inside("truncate", "--size=0", pool / "regions/counter/region")
    node("clear", "--yes")
    assert inside("test", "-d", pool / "regions/counter").returncode == 0


def test_clear_of_a_node_that_nobody_prepared_leaves_no_folder(node: Node, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    assert node("clear", "--yes").returncode == 0
    assert not (tmp_path / "node").exists()
