"""Prints what the extras named by the first argument need, a line each, for pip.

So the dependencies are a step of the image's build of their own, which a change of the code does
not repeat. An extra that the project does not have is left out: pip would warn and go on too.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def requirements(project: dict[str, object], extras: set[str]) -> set[str]:
    """All lines, with the project's own extras taken apart."""
    name = re.escape(str(project["name"]))
    optional = project["optional-dependencies"]
    assert isinstance(optional, dict)
    found: set[str] = set()
    seen: set[str] = set()
    while extras - seen:
        extra = min(extras - seen)
        seen.add(extra)
        for line in optional.get(extra, []):
            own = re.fullmatch(rf"{name}\[(.*)\]", line)
            if own:
                extras = extras | set(own[1].split(","))
            else:
                found.add(line)
    dependencies = project["dependencies"]
    assert isinstance(dependencies, list)
    return found | set(dependencies)


if __name__ == "__main__":
    described = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    wanted = set(sys.argv[1].split(","))
    sys.stdout.writelines(
        f"{line}\n" for line in sorted(requirements(described["project"], wanted))
    )
