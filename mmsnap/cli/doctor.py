"""`mmsnap doctor`: what this machine can do for mmsnap, and what to do where it can not."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from mmsnap.cli.doctor_programs import programs
from mmsnap.cli.exit_codes import ExitCode
from mmsnap.cli.findings import Finding, Verdict
from mmsnap.cli.output import Column, Format, Output, print_json, print_table
from mmsnap.quantities import format_size

_MEMORY_FOLDER: Final = Path("/dev/shm")
_MEMORY_FILE_SYSTEMS: Final = {"tmpfs", "ramfs"}
_ROOM_WANTED_BYTES: Final = 4 << 30  # a region of 1 GiB twice, its log and deltas, and some air


_COLUMNS: Final = [
    Column[Finding]("", lambda finding: finding.verdict.value),
    Column[Finding]("WHAT", lambda finding: finding.what),
    Column[Finding]("FOUND", lambda finding: finding.found),
    Column[Finding]("WHAT TO DO", lambda finding: finding.advice),
]


def doctor(
    output: Output = Format.TABLE,
    pool: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Look at this pool's medium too.")
    ] = None,
) -> None:
    """Find out what this machine can do for mmsnap.

    Everything is tried, not looked up, and what is missing comes with what to do about it. Exits
    with 1 when regions can not be opened for writing here. What is only for unmodified programs
    (mmsnap run --engine process) may be absent.

    \b
    Example:
        mmsnap doctor --pool /dev/shm/pool
    """
    findings = [
        *_machine(),
        *tracking(),
        *programs(),
        _room("memory file system", _MEMORY_FOLDER),
    ]
    if pool is not None:
        findings += _pool(pool)
    if output is Format.JSON:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(_COLUMNS, findings)
    if any(finding.verdict is Verdict.MISSING for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _machine() -> list[Finding]:
    from importlib.metadata import version

    import numpy as np

    return [
        Finding("mmsnap", Verdict.OK, version("mmsnap")),
        Finding("kernel", Verdict.OK, f"{platform.system()} {platform.release()}"),
        Finding("processor", Verdict.OK, f"{platform.machine()}, {os.cpu_count()} threads"),
        Finding("Python", Verdict.OK, platform.python_version()),
        Finding("NumPy", Verdict.OK, np.__version__),
    ]


def tracking() -> list[Finding]:
    """Whether the kernel tells which pages were written; without it no region can be opened."""
    from mmsnap.memory import probe

    features = probe()
    newer_kernel = "use Linux 6.7 or newer"
    needed = [
        (
            "userfaultfd",
            features.userfaultfd,
            "allow it: sysctl vm.unprivileged_userfaultfd=1, or in the container's seccomp profile",
        ),
        ("watching written pages", features.wp_async, newer_kernel),
        ("finding written pages", features.pagemap_scan, newer_kernel),
    ]
    findings: list[Finding] = []
    for what, works, advice in needed:
        if not works:  # what follows builds on it, and was not tried
            return [*findings, Finding(what, Verdict.MISSING, features.reason, advice)]
        findings.append(Finding(what, Verdict.OK, "works"))
    return [
        *findings,
        _helpful(
            "restoring by moving pages",
            features.event_remap,
            f"a restore in place takes longer; {newer_kernel}",
        ),
        _helpful(
            "checksums by the processor",
            features.crc32c_hardware,
            "a checkpoint takes longer after its pause; nothing to do",
        ),
    ]


def _helpful(what: str, works: bool, advice: str) -> Finding:
    if works:
        return Finding(what, Verdict.OK, "works")
    return Finding(what, Verdict.SLOWER, "does not work", advice)


def _room(what: str, folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding(what, Verdict.SLOWER, f"no {folder}", "pools are on a disk then, and slower")
    room = shutil.disk_usage(folder)
    found = f"{folder}: {format_size(room.free)} of {format_size(room.total)} free"
    if room.free >= _ROOM_WANTED_BYTES:
        return Finding(what, Verdict.OK, found)
    return Finding(
        what,
        Verdict.SLOWER,
        found,
        "a pool takes twice its regions, and their log and older checkpoints",
    )


def _medium(pool: Path) -> Finding:
    file_system = _file_system(pool)
    if file_system in _MEMORY_FILE_SYSTEMS:
        return Finding(
            "medium", Verdict.OK, f"dram ({file_system}): gone when the machine restarts"
        )
    return Finding("medium", Verdict.OK, f"file ({file_system}): slower, stays when it restarts")


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, as the kernel names it."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == number:
            return source.split()[0]
    return "unknown"


def _pool(pool: Path) -> list[Finding]:
    from mmsnap.memory import regions

    if not pool.is_dir():
        return [Finding("pool", Verdict.MISSING, f"no folder {pool}", f"mkdir {pool}")]
    findings = [_medium(pool), _room("room in the pool", pool)]
    if not os.access(pool, os.W_OK):
        findings.append(
            Finding("pool", Verdict.MISSING, f"{pool} is not writable", "use a folder of yours")
        )
    if (pool / "mmsnap.pool").exists():
        findings.append(Finding("regions", Verdict.OK, ", ".join(regions(pool)) or "none yet"))
    return findings
