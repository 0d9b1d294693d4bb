"""Looking after the parts of checkpoints that unmodified programs have: checking and deleting.

A part may rely on pages of an older one (its parent), so neither can be done to one part alone.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from mmsnap.errors import MmsnapError
from mmsnap.process import pages
from mmsnap.process.manifest import Part

log = logging.getLogger(__name__)


def verify_part(folder: Path, epoch: int) -> None:
    """Reads a member's part and all it relies on; CorruptionError names what is damaged."""
    while epoch:
        epoch = Part(folder, epoch).verify().parent


def epochs_of_parts(folder: Path) -> set[int]:
    """The epochs that a member's folder has something of, whole or not."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return {int(path.name) for path in paths if path.name.isdecimal()}


def delete_part(folder: Path, epoch: int) -> None:
    """Removes a part from a member's folder, once nothing relies on it."""
    part = Part(folder, epoch)
    for other in epochs_of_parts(folder) - {epoch}:
        child = Part(folder, other)
        if child.exists and child.load().parent == epoch:
            _make_independent(child, part)
    part.remove()


def copy_part(source: Part, target: Part) -> None:
    """Makes `target` the same program at the same cut, relying on nothing else.

    Files are shared with the source, which never changes them. Raises NotFoundError when the source
    is gone, CorruptionError, OSError when there is no room.
    """
    manifest = source.load()
    source.link_to(target)
    parent, link = manifest.parent, target.images / "parent"
    while parent:
        older = Part(source.folder.parent, parent)
        link.unlink(missing_ok=True)
        link.symlink_to(older.images.absolute())
        pages.absorb_parent(target.images)
        parent = older.load().parent
    link.unlink(missing_ok=True)
    stored = pages.count_stored(target.images)
    checksums = target.measure() if manifest.parent else manifest.checksums
    target.seal(
        replace(manifest, epoch=target.epoch, parent=0, checksums=checksums, pages_stored=stored)
    )


def tidy(folder: Path, committed: Collection[int]) -> None:
    """Removes what aborted epochs, deleted ones and interrupted work left in a member's folder."""
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if not path.is_dir():
            path.unlink()  # a reserve, or what a killed shim was connected to
        elif not path.name.isdecimal():
            shutil.rmtree(path, ignore_errors=True)
    for epoch in sorted(epochs_of_parts(folder).difference(committed), reverse=True):
        try:
            delete_part(folder, epoch)  # of a deleted one there may be children
        except (MmsnapError, OSError) as error:
            log.warning("%s keeps the bytes of @%d: %s", folder, epoch, error)


def _make_independent(child: Part, parent: Part) -> None:
    """Takes the parent's pages over, in a copy that replaces the child when it is whole."""
    manifest = child.load()
    twin = child.fork(f"{child.epoch}.absorbing")
    pages.absorb_parent(twin.images)
    twin.seal(
        replace(
            manifest,
            parent=parent.load().parent,
            checksums=twin.measure(),
            pages_stored=pages.count_stored(twin.images),
        )
    )
    child.exchange(twin)
    twin.remove()
