"""All commands of `mmsnap`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsnap.cli import checkpoint, node, schedule, transfer
from mmsnap.cli.agent import agent
from mmsnap.cli.demo import demo
from mmsnap.cli.doctor import doctor
from mmsnap.cli.members import ps
from mmsnap.cli.restore import restore
from mmsnap.cli.run import run
from mmsnap.cli.usage import usage
from mmsnap.cli.watch import watch

application = typer.Typer(
    no_args_is_help=True,
    # Plain help: loading rich would double the time that `mmsnap --help` takes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mmsnap {version('mmsnap')}")
        raise typer.Exit


@application.callback()
def _mmsnap(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    """Checkpoint and restore stateful applications, alone or in groups.

    A program uses mmsnap.open() and needs nothing else; look at its checkpoints with --pool DIR.
    Programs that call mmsnap.attach() and run under a service are checkpointed together, as a
    group G.

    \b
    Example:
        mkdir -p /dev/shm/pool
        mmsnap agent --pool /dev/shm/pool &
        mmsnap run --group shop --member a -- python worker.py &
        mmsnap checkpoint create shop --name before-upgrade
        mmsnap restore shop before-upgrade

    \b
    Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 aborted (members run on), 5 corrupt,
    6 no service reached.
    """


application.command()(agent)
# What follows the program's name belongs to the program.
application.command(context_settings={"allow_interspersed_args": False})(run)
application.command()(ps)
application.command()(usage)
application.command()(watch)
application.add_typer(checkpoint.commands, name="checkpoint")
application.add_typer(schedule.commands, name="schedule")
application.add_typer(node.commands, name="node")
application.command()(restore)
application.command()(transfer.clone)
application.command()(doctor)
application.command()(demo)
