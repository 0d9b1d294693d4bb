"""mmsnap's own image, of the checkout as it is: built when something changed, else found again."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from mmsnap.process.installation import cache_folder
from tests.image import builder
from tests.image.progress import step

CHECKOUT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "ghcr.io/memverge/mmsnap"
_DOCKERFILE: Final = "operator/image/Dockerfile"
_CONTENT: Final = (
    "LICENSE",
    "README.md",
    "constraints.txt",
    "mmsnap",
    "native",
    "operator",
    "pyproject.toml",
    "sdk",
)
_KEPT_ARCHIVES: Final = 6
# So that a fresh clone, whose files are younger, finds what another one has built.
_ANY_TIME: Final = 1_000_000_000


def release() -> str:
    """The name that the manifests of this checkout have for its image."""
    return f"{NAME}:{_version()}"


def archive_of_checkout(name: str) -> Path:
    """A docker-archive of the image under `name`."""
    files = _files()
    base = builder.prepare()
    content = _content_hash(files, base)
    archives = cache_folder() / "images" / "archives"
    archive = archives / f"mmsnap-{content}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.tar"
    if archive.exists():
        archive.touch()
        return archive
    archives.mkdir(parents=True, exist_ok=True)
    tag = f"localhost/mmsnap:{content}"
    with tempfile.TemporaryDirectory() as work, step("building the image of mmsnap"):
        context = Path(work)
        _copy(files, context)
        arguments = {"BASE": base, "VERSION": _version(), "REVISION": _revision()}
        builder.build(context, context / _DOCKERFILE, tag, arguments)
    with step("writing its archive"):
        fresh = archive.with_suffix(f".{os.getpid()}")
        builder.export(tag, fresh, name)
        fresh.rename(archive)
    _make_room(archives)
    return archive


def _make_room(archives: Path) -> None:
    """Keeps what was built or asked for last."""
    last_first = sorted(archives.glob("*.tar"), key=lambda file: -file.stat().st_mtime)
    for file in last_first[_KEPT_ARCHIVES:]:
        file.unlink()
    kept = {file.name.split("-")[1] for file in last_first[:_KEPT_ARCHIVES]}
    builder.make_room({f"localhost/mmsnap:{content}" for content in kept})


def _files() -> list[str]:
    """What is in the image, by path: tracked, or new and not ignored."""
    told = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_CONTENT],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in set(told.split("\0")) if (CHECKOUT / name).is_file())


def _content_hash(files: list[str], base: str) -> str:
    content = hashlib.sha256(base.encode())
    for name in files:
        file = CHECKOUT / name
        content.update(f"\0{name}\0{file.stat().st_mode & 0o111}\0".encode())
        content.update(hashlib.sha256(file.read_bytes()).digest())
    return content.hexdigest()[:16]


def _copy(files: list[str], context: Path) -> None:
    for name in files:
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target)
    for path in [context, *context.rglob("*")]:
        os.utime(path, (_ANY_TIME, _ANY_TIME))


def _version() -> str:
    found = re.search(r'^version = "(.*)"', (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def _revision() -> str:
    told = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(
        told, cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.strip()
