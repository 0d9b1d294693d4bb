"""Where `kubectl-mmsnap` starts, and where an error becomes words and an exit code.

A failure that is known is a message and a hint on stderr. Only a defect of mmsnap itself ends in a
traceback.
"""

from __future__ import annotations

import os
import sys

from mmsnap.cli.exit_codes import ExitCode, exit_code
from mmsnap.errors import MmsnapError


def main() -> None:
    """Runs the command in `sys.argv` and exits."""
    try:
        from mmsnap_kubectl.application import application
    except ModuleNotFoundError as missing:
        if missing.name != "typer":
            raise
        _complain("the command line is not installed", "in a checkout: pip install '.[kubectl]'")
        sys.exit(ExitCode.FAILED)
    try:
        application(prog_name="kubectl mmsnap")
    except MmsnapError as error:
        _complain(error.message, error.hint)
        sys.exit(exit_code(error))
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; keep the interpreter from flushing into the
        # void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _complain(message: str, hint: str = "") -> None:
    print(f"kubectl mmsnap: {message}", file=sys.stderr)  # noqa: T201
    if hint:
        print(f"  hint: {hint}", file=sys.stderr)  # noqa: T201
