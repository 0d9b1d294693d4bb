"""`kubectl_complete-mmsnap`: what kubectl runs when Tab is pressed behind `kubectl mmsnap`.

It answers as kubectl expects: a suggestion a line, its meaning behind a tab, and at the end what
the shell is to do when there is none. The lines are those that typer makes for fish.
"""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Final

import typer.completion

from mmsnap_kubectl.application import application

_PROGRAM: Final = "kubectl-mmsnap"
_NO_FILES: Final = 4


def main() -> None:
    """Completes the last word of `sys.argv`; the others stand before it."""
    *before, incomplete = sys.argv[1:] or [""]
    typed = shlex.join([_PROGRAM, *before]) + " "
    os.environ |= {
        "_KUBECTL_MMSNAP_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COLUMNS": "1000",  # else what options mean is cut into lines
        "_TYPER_COMPLETE_ARGS": typed + (shlex.quote(incomplete) if incomplete else ""),
    }
    # What typer does by itself where its own options for completion are shown.
    typer.completion.completion_init()  # type: ignore[attr-defined]
    with suppress(SystemExit), redirect_stdout(StringIO()) as told:
        application(prog_name=_PROGRAM)
    for line in filter(None, told.getvalue().splitlines()):
        print(line)  # noqa: T201
    print(f":{_NO_FILES}")  # noqa: T201
