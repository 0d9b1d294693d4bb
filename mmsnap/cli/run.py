"""`mmsnap run`: start a program as a member of a group, and be it towards the outside.

Here is what both engines share, and the short way for programs that attach by themselves; what
an unmodified program runs under is `mmsnap.shim`.

The program gets the service's address, its group and its name in the environment, where
`mmsnap.attach()` finds them. Signals go to the program, its exit code comes back. What this
module does not do is restart the program or watch over its checkpoints.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from mmsnap.cli.exit_codes import ExitCode
from mmsnap.cli.options import Address
from mmsnap.errors import AgentUnavailableError
from mmsnap.rpc.addresses import default_address, socket_path

_FORWARDED: Final = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
}
_SENT_BY_KERNEL: Final = 0x80  # SI_KERNEL in siginfo.h
_SIGNALLED: Final = 128  # shells add the signal's number to it


class OnLoss(StrEnum):
    """What happens to the group when an unmodified program is lost."""

    FRESH = "fresh"
    WAIT = "wait"
    ROLLBACK = "rollback"


class Engine(StrEnum):
    """How the program's state is captured."""

    MEMORY = "memory"
    PROCESS = "process"


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD ...", help="The program.")],
    group: Annotated[
        str, typer.Option(envvar="MMSNAP_GROUP", help="The group it is a member of.")
    ] = "main",
    member: Annotated[
        str,
        typer.Option(
            envvar="MMSNAP_MEMBER",
            help="Its name in the group; under this name it finds its memory again.",
        ),
    ] = "main",
    engine: Annotated[
        Engine,
        typer.Option(help="memory: the program calls mmsnap.attach(). process: any program."),
    ] = Engine.MEMORY,
    files: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="A folder or file that belongs to its checkpoints; repeatable."
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="What it does around a cut: hazelcast, redis, generic, or FILE.toml."
        ),
    ] = None,
    options: Annotated[
        str,
        typer.Option(
            "--profile-options",
            metavar="WORDS",
            help="Of the profile, like 'url=http://127.0.0.1:5701 --nopause'.",
        ),
    ] = "",
    on_loss: Annotated[
        OnLoss, typer.Option(help="What becomes of the group when the program is lost.")
    ] = OnLoss.FRESH,
    address: Address = None,
) -> None:
    """Start a program as a member of a group.

    The program calls mmsnap.attach(), which finds the service, the group and the member's name in
    the environment. With --engine process it may be any program: it is captured whole, with its
    memory, processes, pipes and connections; this needs root. Its files are not, unless --files
    names them. If a restore of its group is pending, it is restored rather than started.

    Signals are passed on to it, and mmsnap run ends with its exit code (128 + N when signal N ended
    it).

    \b
    Examples:
        mmsnap run --group shop --member a -- python worker.py &
        mmsnap run --group shop --member b -- python worker.py &
        mmsnap run --engine process --group web --files /srv/data -- nginx -g 'daemon off;' &
    """
    # Absolute, for the program may change its folder before it attaches.
    socket_file = socket_path(address or default_address())
    found = f"unix://{socket_file}"
    _expect_listener(socket_file, found)
    membership = {"MMSNAP_ADDRESS": found, "MMSNAP_GROUP": group, "MMSNAP_MEMBER": member}
    if engine is Engine.PROCESS:
        from mmsnap.cli.run_program import run_program

        sys.exit(
            run_program(
                tuple(command), os.environ | membership, on_loss.value, profile, options, files
            )
        )
    if files or profile or options or on_loss is not OnLoss.FRESH:
        raise typer.BadParameter(
            "--files, --profile, --profile-options and --on-loss are for --engine process"
        )
    sys.exit(_supervise(command, os.environ | membership))


def _expect_listener(socket_file: Path, address: str) -> None:
    """Says so at once when nobody listens, rather than from inside the program."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(socket_file))
        except OSError as error:
            raise AgentUnavailableError(
                f"no service listens at {address}: {error.strerror}",
                subject=address,
                hint="start one with `mmsnap agent --pool DIR`, or name it with --address",
            ) from error


def _supervise(command: list[str], environment: Mapping[str, str]) -> int:
    """Runs the program to its end; returns the exit code to end with."""
    # With SIGCHLD ignored, as some parents leave it, the kernel would throw the exit code away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    awaited = _FORWARDED | {signal.SIGCHLD}
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    pid = _spawn(command, environment, unblocked)
    while True:
        arrived = signal.sigwaitinfo(awaited)
        if arrived.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else _SIGNALLED - code
        elif arrived.si_code != _SENT_BY_KERNEL:
            # What a terminal sends (Ctrl-C) reached the program too: it is in our process group.
            os.kill(pid, arrived.si_signo)


def _spawn(
    command: list[str], environment: Mapping[str, str], unblocked: set[signal.Signals | int]
) -> int:
    try:
        return os.posix_spawnp(
            command[0],
            command,
            environment,
            setsigmask=unblocked,
            # Python ignores these two; a program expects them as they were.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except FileNotFoundError:
        _refuse(ExitCode.NO_SUCH_PROGRAM, f"{command[0]}: no such program")
    except PermissionError:
        _refuse(ExitCode.NOT_EXECUTABLE, f"{command[0]}: not executable")


def _refuse(code: ExitCode, message: str) -> NoReturn:
    typer.echo(f"mmsnap: {message}", err=True)
    raise typer.Exit(code)
