"""Runs a statement over a file system of a few MiB of its own, in a process of its own.

A mount namespace gives anybody a memory file system of any size; no test needs a privilege for
it, and nothing of it is left when the process ends.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(statement: str, folder: Path, size_mib: int) -> None:
    """``statement`` finds an empty medium at the folder that the name ``medium`` holds."""
    folder.mkdir(parents=True)
    prologue = f"from pathlib import Path\nmedium = Path({str(folder)!r})\n"
    script = prologue + textwrap.dedent(statement)
    python = shlex.join([sys.executable, "-c", script])
    mount = f"mount -t tmpfs -o size={size_mib}m,mode=700 none {shlex.quote(str(folder))}"
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-r", "--mount"]
    done = subprocess.run(
        [*namespace, "sh", "-c", f"{mount} && exec {python}"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
