"""`mmsnap doctor`: what this machine can do was tried, and what is missing comes with advice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, memory_folder


def findings(mmsnap: Run, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    shown = mmsnap("doctor", "-o", "json", *arguments)
    return {finding["what"]: finding for finding in json.loads(shown.stdout)}


def test_machine_that_can_do_it(mmsnap: Run) -> None:
    shown = mmsnap("doctor")
    assert shown.returncode == 0
    assert "userfaultfd" in shown.stdout
    found = findings(mmsnap)
    for_programs = {
        "CRIU",
        "the kernel, for CRIU",
        "cgroup freezer",
        "unmodified programs",
        "programs of other users",
    }
    assert all(
        each["verdict"] in ("ok", "slower") or what in for_programs for what, each in found.items()
    )
    assert "Linux" in found["kernel"]["found"]


@pytest.mark.parametrize(
    ("kernel", "missing"),
    [
        ("no-userfaultfd", "userfaultfd"),
        ("no-wp-async", "watching written pages"),
        ("no-pagemap-scan", "finding written pages"),
    ],
)
def test_kernel_without_a_feature_is_refused_with_advice(
    mmsnap: Run, pool: Path, kernel: str, missing: str
) -> None:
    shown = mmsnap("doctor", "-o", "json", MMSNAP_SIMULATE_KERNEL=kernel)
    assert shown.returncode == 1
    (found,) = [each for each in json.loads(shown.stdout) if each["verdict"] == "missing"]
    assert found["what"] == missing
    assert found["found"]
    assert found["advice"]

    refused = mmsnap("checkpoint", "create", "--pool", pool, MMSNAP_SIMULATE_KERNEL=kernel)
    assert refused.returncode == 1
    assert "mmsnap doctor" in refused.stderr


def test_kernel_without_a_feature_can_still_read(mmsnap: Run, pool: Path) -> None:
    listed = mmsnap("checkpoint", "list", "--pool", pool, MMSNAP_SIMULATE_KERNEL="no-wp-async")
    assert listed.returncode == 0
    assert "two" in listed.stdout


def test_pool_in_memory_and_on_disk_are_told_apart(mmsnap: Run, tmp_path: Path) -> None:
    with memory_folder() as folder:
        in_memory = findings(mmsnap, "--pool", folder)["medium"]["found"]
    assert in_memory.startswith("dram (tmpfs)")
    assert "gone when the machine restarts" in in_memory
    assert findings(mmsnap, "--pool", tmp_path)["medium"]["found"].startswith("file (")


def test_regions_of_a_pool_are_listed(mmsnap: Run, pool: Path) -> None:
    assert findings(mmsnap, "--pool", pool)["regions"]["found"] == "counter"


def test_pool_that_is_not_there_comes_with_advice(mmsnap: Run, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    ended = mmsnap("doctor", "--pool", missing)
    assert ended.returncode == 1
    assert f"mkdir {missing}" in ended.stdout
