"""Where `mmsnap` starts, and the one place where an error becomes words and an exit code.

A failure that mmsnap knows is a message and a hint on stderr. Only a defect of mmsnap itself ends
in a traceback.
"""

from __future__ import annotations

import os
import sys

from mmsnap.cli.exit_codes import ExitCode, exit_code
from mmsnap.errors import MmsnapError


def main() -> None:
    """Runs the command in `sys.argv` and exits."""
    try:
        from mmsnap.cli.application import application
    except ModuleNotFoundError as missing:
        if missing.name != "typer":
            raise
        _complain("the command line is not installed", "pip install 'mmsnap[node]'")
        sys.exit(ExitCode.FAILED)
    try:
        application()
    except MmsnapError as error:
        _complain(error.message, error.hint)
        sys.exit(exit_code(error))
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; keep the interpreter from flushing into the
        # void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)
    except OSError as error:
        named = f": {error.filename}" if error.filename else ""
        _complain(f"{error.strerror or str(error) or type(error).__name__}{named}")
        sys.exit(ExitCode.FAILED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _complain(message: str, hint: str = "") -> None:
    print(f"mmsnap: {message}", file=sys.stderr)  # noqa: T201
    if hint:
        print(f"  hint: {hint}", file=sys.stderr)  # noqa: T201
