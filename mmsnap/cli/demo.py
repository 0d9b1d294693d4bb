"""`mmsnap demo`: real flights through a group of processes that is killed and restored."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsnap.cli.exit_codes import ExitCode
from mmsnap.cli.output import Format, Output


def demo(
    flights: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="So many of the 336,776 flights; by default all."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of the moments at which all workers are killed.")
    ] = 2013,
    output: Output = Format.TABLE,
) -> None:
    """Kill a group of processes, restore it, compare its sums.

    The flights that left New York in 2013 stream through three workers that hand messages to each
    other. They are checkpointed together while they run, killed at random moments and restored,
    and in the end every sum must be the same to the last bit. Then the same once more with
    checkpoints taken one by one, to show what that loses. Exits with 1 when the group's sums
    differ.

    \b
    Example:
        mmsnap demo --seed 7
    """
    from asyncio import CancelledError

    from mmsnap.demo.main import DemoOptions, run

    asked = DemoOptions(flights=flights, seed=seed, json=output is Format.JSON)
    try:
        passed = run(asked).passed
    except CancelledError:  # by SIGTERM or a closed terminal, when all is cleaned up
        raise typer.Exit(ExitCode.TERMINATED) from None
    if not passed:
        raise typer.Exit(ExitCode.FAILED)
