"""`mmsnap node prepare`: a machine gets what it needs, and with `--undo` loses it again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.findings import Verdict
from mmsnap.cli.node_medium import (
    POOL,
    RECORD,
    Preparation,
    check_memory,
    check_pmem,
    drop_empty,
    mount_memory,
    remember_mount,
    unmount,
)
from mmsnap.cli.progress import working
from mmsnap.errors import UnsupportedError
from mmsnap.quantities import format_size

DATA_FOLDER: Final = Path("/var/memverge")
DataFolder = Annotated[
    Path, typer.Option("--mm-data-dir", metavar="DIR", help="The node's folder: pool and socket.")
]
_DEFAULT_GIB: Final = 16
_FSTAB: Final = Path("/etc/fstab")


def prepare(
    mm_capacity: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help=f"The pool's size in GiB; {_DEFAULT_GIB} if not given."
        ),
    ] = None,
    pmem_emulation: Annotated[
        bool, typer.Option("--pmem-emulation", help="Memory stands in for PMem.")
    ] = False,
    use_hugepage: Annotated[
        bool, typer.Option("--use-hugepage", help="Refused: a pool can not be on hugepages.")
    ] = False,
    mm_data_dir: DataFolder = DATA_FOLDER,
    pmem_csi_image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Means nothing here.")
    ] = None,
    pause_image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Means nothing here.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="Means nothing here.")
    ] = None,
    pull_secret: Annotated[
        str | None, typer.Option(metavar="NAME", help="Means nothing here.")
    ] = None,
    fstab: Annotated[
        Path, typer.Option(metavar="FILE", help="Where mounts are remembered.")
    ] = _FSTAB,
    undo: Annotated[bool, typer.Option("--undo", help="Take it down again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look and say, but change nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Get this machine ready: as a node of Kubernetes, or to checkpoint unmodified programs.

    As a node: with --mm-capacity or --pmem-emulation it makes the pool in the node's folder, for
    the agent that the operator starts. On PMem the folder has to be on a file system mounted with
    dax; with --pmem-emulation a tmpfs of that size is mounted, now and whenever the machine starts.
    To do it again changes only what is different.

    Without options it fetches a CRIU that works on new kernels: Debian's packages of it, with all
    their libraries, in a folder of yours ($MMSNAP_CACHE, else ~/.cache/mmsnap). (The agent's image
    has one.) Programs that use mmsnap.open() or mmsnap.attach() do not need it.

    \b
    Examples:
        mmsnap node prepare
        mmsnap node prepare --pmem-emulation --mm-capacity 32
        mmsnap node prepare --undo
    """
    nothing = {
        "--pmem-csi-image": pmem_csi_image,
        "--pause-image": pause_image,
        "--namespace": namespace,
        "--pull-secret": pull_secret,
    }
    for option, value in nothing.items():
        if value is not None:
            typer.echo(
                f"{option} means nothing here: no image is needed to prepare a node", err=True
            )
    folder = mm_data_dir.absolute()
    as_node = mm_capacity is not None or pmem_emulation or use_hugepage
    if undo:
        _undo(folder, fstab, dry_run=dry_run, yes=yes)
    elif as_node or mm_data_dir != DATA_FOLDER:
        if use_hugepage:
            raise UnsupportedError(
                "a pool can not be on hugepages: its files are written, and hugetlbfs can only map",
                hint="leave --use-hugepage out",
            )
        capacity_bytes = (mm_capacity or _DEFAULT_GIB) << 30
        _prepare_node(folder, capacity_bytes, fstab, emulated=pmem_emulation, dry_run=dry_run)
    else:
        _fetch_criu(dry_run=dry_run)


def _prepare_node(
    folder: Path, capacity_bytes: int, fstab: Path, *, emulated: bool, dry_run: bool
) -> None:
    if os.geteuid() != 0:
        raise UnsupportedError("only root can prepare a node", hint="sudo mmsnap node prepare …")
    try:
        _check_kernel()
        if emulated:
            check_memory(capacity_bytes)
        else:
            check_pmem(folder, capacity_bytes)
    except UnsupportedError as error:
        if not dry_run:  # the agent that will not start here says why
            Preparation(capacity_bytes, emulated, error.message).write(folder)
        raise
    pool = folder / POOL
    what = f"{format_size(capacity_bytes)} {'of memory' if emulated else 'of PMem'} at {pool}"
    if dry_run:
        typer.echo(f"would prepare {what}")
        return
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if emulated:
        mount_memory(pool, capacity_bytes)
        remember_mount(fstab, pool, capacity_bytes)
    else:
        pool.mkdir(mode=0o700, exist_ok=True)
    Preparation(capacity_bytes, emulated).write(folder)
    typer.echo(f"prepared {what}")


def _check_kernel() -> None:
    from mmsnap.cli.doctor import tracking

    for finding in tracking():
        if finding.verdict is Verdict.MISSING:
            raise UnsupportedError(f"{finding.what}: {finding.found}", hint=finding.advice)


def _undo(folder: Path, fstab: Path, *, dry_run: bool, yes: bool) -> None:
    from mmsnap.node.pool_lock import PoolLock
    from mmsnap.store import checkpoints_here

    pool = folder / POOL
    known = Preparation.read(folder)
    if known is None and not os.path.ismount(pool):
        typer.echo(f"{folder} was not prepared")
        return
    if pool.is_dir():
        PoolLock(pool).release()  # InUseError: an agent serves it
    kept = checkpoints_here(pool)
    on_memory = os.path.ismount(pool)
    lost = f", and the {kept} checkpoints in it" if kept and on_memory else ""
    if dry_run:
        typer.echo(f"would take down the pool {pool}{lost}")
        return
    confirm(f"Take down the pool {pool}{lost}?", yes=yes)
    unmount(pool)
    remember_mount(fstab, pool, None)
    (folder / RECORD).unlink(missing_ok=True)
    if kept and not on_memory:
        typer.echo(f"{pool} is left as it is: {kept} checkpoints are in it")
        return
    drop_empty(pool)
    drop_empty(folder)
    typer.echo(f"{folder} is as it was before")


def _fetch_criu(*, dry_run: bool) -> None:
    from mmsnap.process.criu import find
    from mmsnap.process.installation import install

    if dry_run:
        typer.echo("would fetch CRIU")
        return
    with working("fetching CRIU"):
        root = install()
    version = ".".join(map(str, find().version))
    typer.echo(f"CRIU {version} is in {root}")
