"""What `import mmsnap` and `mmsnap.open` load: the core and NumPy, and nothing of a service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OF_A_SERVICE = {"asyncio", "google", "grpc", "rich", "sqlite3", "typer"}


def loaded_by(program: str) -> set[str]:
    """Which of `OF_A_SERVICE` a program has loaded at its end."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=True,
    )
    return OF_A_SERVICE & set(ended.stdout.split())


def test_import_alone_loads_no_numpy_either() -> None:
    assert loaded_by("import mmsnap, sys; assert 'numpy' not in sys.modules") == set()


def test_embedded_path_that_loads_a_service(tmp_path: Path) -> None:
    program = f"""
import mmsnap, numpy as np
with mmsnap.open({str(tmp_path)!r}, size="1MiB") as app:
    app.array("hits", (10,), np.int64)[:] = 1
    with app.update():
        app.state["n"] = 1
    app.checkpoint("one")
    app.restore("one")
"""
    assert loaded_by(program) == set()


def test_attach_is_what_loads_it() -> None:
    """The test above can fail: the same question has another answer here."""
    assert "grpc" in loaded_by("import mmsnap; mmsnap.attach")
