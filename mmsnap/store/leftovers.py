"""What a service that did not live to end a transfer left in its pool."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmsnap.process.manifest import FOLDER
from mmsnap.store.packing import STAGING
from mmsnap.store.unpacking import ARRIVING


def forget_interrupted(pool: Path) -> None:
    """Removes it; nothing of it counts. Before any other transfer."""
    shutil.rmtree(pool / STAGING, ignore_errors=True)
    for arriving in (pool / FOLDER).glob(f"*/*.{ARRIVING}"):
        shutil.rmtree(arriving, ignore_errors=True)
