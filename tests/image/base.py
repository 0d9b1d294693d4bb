"""A Debian like the public `debian:bookworm-slim`, made here: a test must not need a registry."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from mmsnap.process.installation import cache_folder
from tests.image.progress import step

RELEASE: Final = "bookworm"
_SOURCES: Final = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
# What the slim images leave out too.
_LEFT_OUT: Final = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
_DPKG_RULES: Final = (
    "".join(f"path-exclude /usr/share/{name}/*\n" for name in _LEFT_OUT)
    + "path-include /usr/share/doc/*/copyright\n"
)
_APT_RULES: Final = 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n'


def apt_sources() -> Path:
    """This machine's sources of Debian packages, to be lent to a build."""
    return next(file for file in _SOURCES if file.exists())


def base_archive() -> Path:
    """A tar of its root, made once."""
    made_from = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    archive = cache_folder() / "images" / f"{RELEASE}-{made_from}.tar"
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"making a Debian {RELEASE}"),
        tempfile.TemporaryDirectory(dir=archive.parent) as work,
    ):
        root = Path(work) / "root"
        subprocess.run(
            ["debootstrap", "--variant=minbase", RELEASE, root, _mirror()],
            check=True,
            capture_output=True,
        )
        _slim(root)
        fresh = Path(work) / "root.tar"
        subprocess.run(
            ["tar", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-cf", fresh, "."],
            check=True,
        )
        fresh.rename(archive)
    return archive


def _mirror() -> str:
    found = re.search(
        r"^(?:URIs:|deb(?: \[.*\])?)\s+(\S+)", apt_sources().read_text(), re.MULTILINE
    )
    assert found, f"{apt_sources()} names no mirror"
    return found[1]


def _slim(root: Path) -> None:
    """Without caches, manuals, and every trace of where it came from."""
    for name in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
        for file in (root / name).rglob("*"):
            if file.is_file():
                file.unlink()
    for name in _LEFT_OUT:
        folder = root / "usr/share" / name
        for file in folder.rglob("*"):
            if file.is_file() and file.name != "copyright":
                file.unlink()
        if name != "doc":
            shutil.rmtree(folder, ignore_errors=True)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(_DPKG_RULES)
    (root / "etc/apt/apt.conf.d/slim").write_text(_APT_RULES)
    (root / "etc/apt/sources.list").write_text("")
    (root / "etc/apt/sources.list.d/debian.sources").write_text("")
    for name in ("etc/hostname", "etc/resolv.conf"):
        (root / name).write_text("")
