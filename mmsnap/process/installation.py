"""Gets a CRIU that works on new kernels, into a folder of its own, as any user.

Older distributions carry CRIU versions that fail on new kernels. Debian's package manager fetches
the one of a newer release, with all its libraries, checked against Debian's keys, into a cache;
it runs there through its own loader, and nothing of the machine is changed. Once there, it is
not fetched again. Finding and running it is `criu.py`'s business.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from mmsnap.errors import UnsupportedError

log = logging.getLogger(__name__)

RELEASE: Final = "forky"
_PACKAGES: Final = ("criu", "nftables")
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES: Final = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_FETCH_SECONDS: Final = 600


def cache_folder() -> Path:
    """Where it is kept: $MMSNAP_CACHE, else mmsnap in the user's cache folder."""
    named = os.environ.get("MMSNAP_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmsnap"


def installed_root() -> Path:
    """The folder under which the packages lie, there or not."""
    return cache_folder() / f"criu-{RELEASE}-{os.uname().machine}"


def install() -> Path:
    """Fetches CRIU unless it is there; returns its root.

    Raises:
        UnsupportedError: this is no Debian, or its packages can not be fetched.
    """
    root = installed_root()
    if root.is_dir():
        return root
    if not (_KEYRING.exists() and shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise UnsupportedError(
            "CRIU can be fetched by itself only on Debian",
            hint="install CRIU 4.2 or newer, and nftables, with your system's package manager",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as work:
        unpacked = _fetch(Path(work))
        try:
            unpacked.rename(root)
        except OSError:
            if not root.is_dir():  # somebody else was quicker
                raise
    log.info("CRIU of Debian %s is in %s", RELEASE, root)
    return root


def _fetch(work: Path) -> Path:
    """A private package manager: own sources, own lists, nothing installed yet."""
    for folder in ("lists/partial", "archives/partial", "root"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {RELEASE} main\n")
    settings = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Debug::NoLocking": 1,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    _run([*apt, "update"])
    _run([*apt, "-y", "--download-only", "install", *_PACKAGES])
    for package in sorted((work / "archives").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(work / "root")])
    return work / "root"


def _mirror() -> str:
    """Where this machine gets its Debian packages."""
    for file in _SOURCES:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        found = re.search(r"^URIs:\s*(\S+)|^deb\s+(?:\[[^]]*\]\s+)?(\S+)", text, re.MULTILINE)
        if found:
            return found[1] or found[2]
    raise UnsupportedError(
        "this machine names no source of Debian packages",
        subject=str(_SOURCES[0]),
        hint="install CRIU 4.2 or newer, and nftables, with your system's package manager",
    )


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_FETCH_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        told = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise UnsupportedError(
            f"CRIU could not be fetched: {told[-1] if told else error}",
            subject=command[0],
            hint="check the network, or install CRIU 4.2 or newer, and nftables, yourself",
        ) from error
