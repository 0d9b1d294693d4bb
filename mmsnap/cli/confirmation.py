"""Asking before something is destroyed.

On a terminal the question is asked, unless `--yes` answers it. Without a terminal nobody can
answer: then a command says beforehand whether that means yes.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, *, yes: bool, without_terminal: bool = False) -> None:
    """Returns when the answer is yes.

    Args:
        question: what is about to happen, ending in a question mark.
        yes: `--yes` was given.
        without_terminal: what it means that there is nobody to ask.

    Raises:
        typer.BadParameter: nobody can be asked, and that does not mean yes.
        typer.Abort: the answer was no.
    """
    if yes:
        return
    if sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)
    elif not without_terminal:
        raise typer.BadParameter("no terminal to ask on; --yes answers", param_hint="--yes")
