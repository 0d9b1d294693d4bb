"""`mmsnap node …`: getting a machine ready."""

from __future__ import annotations

import typer

from mmsnap.cli.progress import working

commands = typer.Typer(no_args_is_help=True, help="Get a machine ready.", rich_markup_mode=None)


@commands.callback()
def _node() -> None:
    """Get a machine ready for mmsnap."""


@commands.command()
def prepare() -> None:
    """Fetch what this machine needs to checkpoint unmodified programs.

    That is a CRIU that works on new kernels: Debian's packages of it, with all their libraries, in
    a folder of yours ($MMSNAP_CACHE, else ~/.cache/mmsnap). Nothing else is changed.
    Programs that use mmsnap.open() or mmsnap.attach() do not need it.

    \b
    Example:
        mmsnap node prepare
    """
    from mmsnap.process.criu import find
    from mmsnap.process.installation import install

    with working("fetching CRIU"):
        root = install()
    version = ".".join(map(str, find().version))
    typer.echo(f"CRIU {version} is in {root}")
