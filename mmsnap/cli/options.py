"""Options that many commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmsnap.quantities import parse_duration
from mmsnap.rpc.addresses import remote_target, socket_path, tls_folder


def duration(text: str) -> str:
    """A duration on the command line, as the SDK takes it.

    Raises:
        typer.BadParameter: it is not a duration.
    """
    try:
        parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def address(text: str) -> str:
    """An address on the command line.

    Raises:
        typer.BadParameter: it is not an address, or of another machine without certificates for it.
    """
    try:
        if remote_target(text) is None:
            socket_path(text)
        else:
            tls_folder()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


Address = Annotated[
    str | None,
    typer.Option(
        parser=address,
        envvar="MMSNAP_ADDRESS",
        metavar="ADDRESS",
        help="Where the service is: unix:///run/mmsnap/agent.sock, or tls://HOST:PORT.",
    ),
]
Pool = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Act on this pool, without any service; then leave out G."),
]
RegionName = Annotated[
    str | None,
    typer.Option("--region", metavar="R", help="The region of --pool; needed when it has several."),
]
MaxPause = Annotated[
    str | None,
    typer.Option(
        parser=duration,
        metavar="DURATION",
        help='Give up, members running on, if the pause would be longer; like "50ms".',
    ),
]
