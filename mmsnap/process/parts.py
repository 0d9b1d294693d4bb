"""Looking after the parts of checkpoints that unmodified programs have: checking and deleting.

A part may rely on pages of an older one (its parent), so neither can be done to one part alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmsnap.process import pages
from mmsnap.process.manifest import Part


def verify_part(folder: Path, epoch: int) -> None:
    """Reads a member's part and all it relies on; CorruptionError names what is damaged."""
    while epoch:
        epoch = Part(folder, epoch).verify().parent


def delete_part(folder: Path, epoch: int) -> None:
    """Removes a part from a member's folder, once nothing relies on it."""
    part = Part(folder, epoch)
    for path in folder.iterdir() if folder.is_dir() else ():
        if not path.name.isdecimal() or path.name == str(epoch):
            continue
        child = Part(folder, int(path.name))
        if child.exists and child.load().parent == epoch:
            _make_independent(child, part)
    part.remove()


def _make_independent(child: Part, parent: Part) -> None:
    manifest = child.load()
    pages.absorb_parent(child.images)
    child.seal(
        replace(
            manifest,
            parent=parent.load().parent,
            checksums=child.measure(),
            pages_stored=pages.count_stored(child.images),
        )
    )
