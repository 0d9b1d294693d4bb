"""Which container runtimes let a plugin change a container's arguments.

That came with NRI 0.10. An older runtime passes over what it does not know, without a word: it has
to be known by its version.
"""

from __future__ import annotations

import re
from typing import Final

_FIRST_VERSIONS: Final = {"containerd": (2, 2), "cri-o": (1, 34)}


def why_too_old(name: str, version: str) -> str | None:
    """A sentence for people; None where the runtime is new enough, or not known here."""
    needed = _FIRST_VERSIONS.get(name.lower())
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if needed is None or found is None or (int(found[1]), int(found[2])) >= needed:
        return None
    return (
        f"{name} {version} does not let a plugin change a container's arguments,"
        f" {needed[0]}.{needed[1]} is the first that does"
    )
