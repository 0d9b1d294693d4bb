"""What works inside of containers for the node: CRIU and mmsnap-enter, in a folder of the node.

They are copied there, because they are shown to pods that outlive the agent's own image. A folder
is named after what is in it, and stays: a program that was started with it needs it to its end.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

from mmsnap.errors import UnsupportedError

ENTER: Final = "mmsnap-enter"
CRIU: Final = "criu"
_NAMED_BYTES: Final = 6


def put_out(criu_root: Path, enter: Path, folder: Path) -> Path:
    """Copies them to a folder in `folder`, once; returns it.

    Raises:
        UnsupportedError: one of them is not there.
    """
    for path, hint in (
        (criu_root / "usr/sbin/criu", "`mmsnap node prepare` fetches it"),
        (enter, "the agent's image has it in /opt/mmsnap"),
    ):
        if not path.exists():
            raise UnsupportedError(f"there is no {path}", subject=str(path), hint=hint)
    place = folder / _name(criu_root, enter)
    if place.is_dir():
        return place
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    shutil.copytree(criu_root, fresh / CRIU, symlinks=True)
    shutil.copy2(enter, fresh / ENTER)
    (fresh / ENTER).chmod(0o700)
    fresh.rename(place)
    return place


def _name(criu_root: Path, enter: Path) -> str:
    told = hashlib.sha256(enter.read_bytes())
    told.update((criu_root / "usr/sbin/criu").read_bytes())
    return told.hexdigest()[: 2 * _NAMED_BYTES]
