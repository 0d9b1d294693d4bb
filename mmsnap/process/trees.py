"""Files that belong to a checkpoint: copied in the freeze, put back before the program is.

Copying is cp's: by reference where the file system can (reflink), else byte by byte. Putting back
makes the folder what it was, and removes what came later.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError, NotFoundError
from mmsnap.process.manifest import Tree

_COPY: Final = ("cp", "--archive", "--reflink=auto", "--no-target-directory")


def require_trees(paths: Iterable[str]) -> tuple[str, ...]:
    """The absolute paths of what is to be captured; NotFoundError for what is not there."""
    found = []
    for path in paths:
        absolute = os.path.realpath(path)
        if not os.path.exists(absolute):
            raise NotFoundError(f"{path} is not there", subject=path, hint="make it first")
        found.append(absolute)
    return tuple(found)


def size_bytes(paths: Iterable[str]) -> int:
    """What the copies take at the most."""
    total = 0
    for path in paths:
        if os.path.isfile(path):
            total += os.stat(path).st_size
        for folder, _, names in os.walk(path):
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_size
                except FileNotFoundError:
                    continue
    return total


def capture(paths: Iterable[str], into: Path) -> tuple[Tree, ...]:
    """Copies each of `paths` into a place of its own below `into`."""
    taken = []
    for number, path in enumerate(paths):
        _copy(path, into / str(number))
        taken.append(Tree(path, str(number)))
    return tuple(taken)


def put_back(trees: Iterable[Tree], source: Path) -> None:
    """Makes everything as it was captured."""
    for tree in trees:
        stored, place = source / tree.name, Path(tree.path)
        if stored.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            _remove_newcomers(stored, place)
            _copy(stored, place, "--remove-destination")
        else:
            place.unlink(missing_ok=True)
            _copy(stored, place)


def _remove_newcomers(stored: Path, place: Path) -> None:
    """What is not in the checkpoint, or is of another kind there."""
    for entry in list(os.scandir(place)):
        then, now = stored / entry.name, place / entry.name
        same_kind = then.is_dir() == now.is_dir() and then.is_symlink() == now.is_symlink()
        if os.path.lexists(then) and same_kind:
            if now.is_dir() and not now.is_symlink():
                _remove_newcomers(then, now)
        elif now.is_dir() and not now.is_symlink():
            shutil.rmtree(now)
        else:
            now.unlink()


def _copy(source: str | Path, target: str | Path, *options: str) -> None:
    try:
        subprocess.run(
            [*_COPY, *options, str(source), str(target)],
            check=True,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
    except subprocess.CalledProcessError as error:
        told = error.stderr.strip().splitlines()
        raise MmsnapError(
            f"files could not be copied: {told[0] if told else error}",
            subject=str(source),
            hint="is there room in the pool, and may they be read?",
        ) from error
