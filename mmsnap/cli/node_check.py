"""`mmsnap node check` and `mmsnap node clear`: what the operator runs on a node before and after.

Both say what they found in words, and in a report for the operator, which is the last message of
their container.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Final

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.exit_codes import ExitCode
from mmsnap.cli.findings import Verdict
from mmsnap.cli.node_medium import (
    MEMORY_FILE_SYSTEMS,
    POOL,
    RECORD,
    Preparation,
    check_memory,
    drop_empty,
    mount_of,
)
from mmsnap.cli.node_prepare import DATA_FOLDER, DataFolder
from mmsnap.errors import UnsupportedError

Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write what was found there, as JSON.")
]
_SOCKETS: Final = ("agent.sock", "agent.sock.members")
_PODS: Final = "pods"
_OF_THE_FILE_SYSTEM: Final = "lost+found"
_PREPARE: Final = "on the node: mmsnap node prepare --mm-capacity N"


def check(
    mm_data_dir: DataFolder = DATA_FOLDER,
    pmem_emulation: Annotated[
        bool, typer.Option("--pmem-emulation", help="The pool may be on memory.")
    ] = False,
    report: Report = None,
) -> None:
    """Find out whether this node is ready for an agent; exits with 1 when it is not.

    \b
    Example:
        mmsnap node check --pmem-emulation
    """
    found = _unprepared(mm_data_dir, emulation_allowed=pmem_emulation) or _unfit()
    if found is None:
        typer.echo(f"{mm_data_dir} is ready for an agent")
        return
    reason, message = found
    _report(report, reason=reason, message=message)
    typer.echo(f"mmsnap: {message}", err=True)
    raise typer.Exit(ExitCode.FAILED)


def clear(
    mm_data_dir: DataFolder = DATA_FOLDER,
    kubelet: Annotated[
        Path, typer.Option(metavar="DIR", help="The kubelet's folder, for --pods.")
    ] = Path("/var/lib/kubelet"),
    report: Report = None,
    yes: Yes = False,
) -> None:
    """Remove what an agent left in the node's folder; a pool with checkpoints stays.

    What `mmsnap node prepare` made stays too: `mmsnap node prepare --undo` takes that down.

    \b
    Example:
        mmsnap node clear
    """
    from mmsnap.node.pool_lock import PoolLock
    from mmsnap.pods.driver import DRIVER
    from mmsnap.store import checkpoints_here

    confirm(f"Remove what an agent left in {mm_data_dir}?", yes=yes)
    pool = mm_data_dir / POOL
    kept = 0
    if pool.is_dir():
        PoolLock(pool).release()  # InUseError: an agent serves it
        kept = checkpoints_here(pool)
        _remove(pool / _PODS)
        if not kept:
            _empty(pool)
    for name in _SOCKETS:
        _remove(mm_data_dir / name)
    drop_empty(kubelet / "plugins" / DRIVER)
    if not kept and not (mm_data_dir / RECORD).exists():
        drop_empty(pool)
        drop_empty(mm_data_dir)
    message = (
        f"{kept} parts of checkpoints stay in the pool; mmsnap node prepare --undo takes it down"
        if kept
        else "cleared"
    )
    _report(report, kept=kept, message=message)
    typer.echo(message)


def _unprepared(folder: Path, *, emulation_allowed: bool) -> tuple[str, str] | None:
    """What is wrong with the pool: a word, and what to do."""
    pool, known = folder / POOL, Preparation.read(folder)
    emulated = known is not None and known.emulated
    if known is not None and known.refused:
        return "PreparationRefused", f"the node could not be prepared: {known.refused}"
    if not pool.is_dir():
        return "NodeNotPrepared", f"there is no pool {pool}; {_PREPARE}"
    on_memory = mount_of(pool).file_system in MEMORY_FILE_SYSTEMS
    if emulated and not on_memory:
        return "NodeNotPrepared", f"{pool} is not mounted; {_PREPARE} --pmem-emulation"
    if on_memory and not emulation_allowed:
        return (
            "EmulationNotAllowed",
            f"the pool {pool} is on memory, which ends with the machine: set pmemEmulation to true "
            "in the MemoryMachine, or prepare the node with PMem",
        )
    if on_memory and known is not None:
        try:
            check_memory(known.capacity_bytes)
        except UnsupportedError as error:
            return "CapacityTooLarge", f"{error.message}; {error.hint}"
    return None


def _unfit() -> tuple[str, str] | None:
    from mmsnap.cli.doctor import tracking

    for finding in tracking():
        if finding.verdict is Verdict.MISSING:
            words = f"{finding.what} does not work here: {finding.found}; {finding.advice}"
            return "KernelFeatureMissing", words
    return None


def _report(file: Path | None, **told: str | int) -> None:
    if file is not None:
        file.write_text(json.dumps(told))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _OF_THE_FILE_SYSTEM:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
