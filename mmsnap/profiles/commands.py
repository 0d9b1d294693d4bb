"""Steps that are commands: those of `generic`, and those that a file tells.

```toml
[[step]]
name = "flush"
before = ["sync-tool", "--flush"]     # fails with its exit code
after = ["sync-tool", "--resume"]
timeout = "5s"

[[restored]]
name = "healthy"
before = ["curl", "-fsS", "http://127.0.0.1:8080/health"]
```
"""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmsnap.errors import MmsnapError, QuiesceTimeoutError
from mmsnap.profiles.profile import DEFAULT_SECONDS, Action, Profile, Step
from mmsnap.quantities import parse_duration

_KEYS = {"name", "before", "after", "timeout"}


def command(words: Sequence[str]) -> Action:
    """Runs a command; what it wrote last says why it failed."""

    def run(timeout_seconds: float) -> None:
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise QuiesceTimeoutError(
                f"{words[0]} did not end within {timeout_seconds:.1f} s", subject=words[0]
            ) from None
        except OSError as error:
            raise MmsnapError(f"{words[0]}: {error.strerror}", subject=words[0]) from error
        if done.returncode:
            told = (done.stderr or done.stdout).strip().splitlines()
            reason = told[-1] if told else f"exit code {done.returncode}"
            raise MmsnapError(f"{words[0]}: {reason}", subject=words[0])

    return run


def generic(before: Sequence[str], after: Sequence[str]) -> Profile:
    """One step with these commands; either may be empty."""
    step = Step("command", command(before) if before else None, command(after) if after else None)
    return Profile("generic", [step])


def from_file(path: Path) -> Profile:
    """A profile of the user's; ValueError says what is wrong with the file."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    unknown = told.keys() - {"step", "restored"}
    if unknown:
        raise ValueError(f"{path}: [[step]] and [[restored]] are known, not {sorted(unknown)[0]}")
    return Profile(
        path.stem, _steps(path, told.get("step", ())), _steps(path, told.get("restored", ()))
    )


def _steps(path: Path, tables: Iterable[dict[str, Any]]) -> list[Step]:
    steps = []
    for table in tables:
        unknown = table.keys() - _KEYS
        if unknown or not table.get("name"):
            wrong = f"{sorted(unknown)[0]!r} is not known" if unknown else "it needs a name"
            raise ValueError(f"{path}: a step: {wrong}")
        seconds = parse_duration(table["timeout"]) / 1e9 if "timeout" in table else DEFAULT_SECONDS
        before, after = table.get("before"), table.get("after")
        for words in (before, after):
            if words is not None and not (isinstance(words, list) and words):
                raise ValueError(f"{path}: step {table['name']}: a command is a list of words")
        steps.append(
            Step(
                table["name"],
                command(before) if before else None,
                command(after) if after else None,
                seconds,
            )
        )
    return steps
