"""Builds the components of Kubernetes from their Go modules, once for a machine.

Every folder of `go/` names what is built, at which version, and by its go.sum the bytes of all it
stands on. What was built lies in the cache under a digest of that, so that a changed version is
built anew and an old one is never taken for it. etcd is Debian's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from mmsnap.process.installation import cache_folder
from tests.debian import install_packages

_SOURCES: Final = Path(__file__).with_name("go")
_PACKAGES: Final = ("gcc", "libc6-dev", "libseccomp-dev", "pkg-config")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRESS_SECONDS: Final = 30
_TOO_OLD: Final = "Go 1.24 or newer is needed to build Kubernetes, from https://go.dev/dl"


@dataclass(frozen=True)
class Part:
    """One Go module of `go/`, and how it is built."""

    name: str
    version_of: str = ""
    version_in: str = ""
    tags: str = ""
    cgo: bool = False
    package: str = "tool"

    @property
    def folder(self) -> Path:
        return _SOURCES / self.name

    @property
    def flags(self) -> list[str]:
        link = "-s -w"
        if self.version_in:
            found = re.search(
                rf"{re.escape(self.version_of)} (v\S+)", (self.folder / "go.mod").read_text()
            )
            assert found, f"{self.folder}/go.mod does not name {self.version_of}"
            link += f" -X {self.version_in}={found[1]}"
        return ["-trimpath", "-tags", self.tags, "-ldflags", link]

    @property
    def built(self) -> Path:
        """Where its programs are, or will be."""
        digest = hashlib.sha256(repr(self).encode())
        for file in sorted(self.folder.iterdir()):
            digest.update(file.read_bytes())
        return cache_folder() / "cluster" / f"{self.name}-{digest.hexdigest()[:12]}"


_PARTS: Final = (
    Part("kubernetes", "k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion"),
    Part(
        "containerd",
        "github.com/containerd/containerd/v2",
        "github.com/containerd/containerd/v2/version.Version",
    ),
    Part("runc", tags="seccomp", cgo=True),
    Part("cni"),
    Part("coredns", package="."),
)


@cache
def build() -> dict[str, Path]:
    """The folder of programs of every part, built where it is missing.

    Raises:
        RuntimeError: Go is missing or too old, or a part does not build; the message says why.
    """
    missing = [part for part in _PARTS if not part.built.is_dir()]
    if missing:
        if shutil.which("go") is None:
            raise RuntimeError(_TOO_OLD)
        install_packages(_PACKAGES)
        print("building Kubernetes, about eleven minutes; the next time it is there", flush=True)
    for part in missing:
        _build(part)
    return {part.name: part.built for part in _PARTS}


def environment() -> dict[str, str]:
    """For what runs in a cluster: its programs, and nothing of what this machine's user has set."""
    folders = [str(folder) for folder in build().values()]
    return {"PATH": ":".join([*folders, _PATH]), "HOME": "/root", "LANG": "C.UTF-8"}


def pause() -> Path:
    """The program that waits, for the first process of a node and for the pods' own image."""
    source = Path(__file__).with_name("pause.c")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    built = cache_folder() / "cluster" / f"pause-{digest}" / "pause"
    if not built.exists():
        install_packages(("gcc", "libc6-dev"))
        with _new_folder(built.parent) as work:
            words = ["gcc", "-static", "-Os", "-Wall", "-Werror", "-s", "-o"]
            subprocess.run([*words, f"{work}/pause", str(source)], check=True)
            _put(Path(work), built.parent)
    return built


def _build(part: Part) -> None:
    began = time.monotonic()
    print(f"  {part.name} …", flush=True)
    with _new_folder(part.built) as work:
        building = subprocess.Popen(
            ["nice", "go", "build", "-v", *part.flags, "-o", f"{work}/", part.package],
            cwd=part.folder,
            env=os.environ | {"CGO_ENABLED": str(int(part.cgo)), "GOFLAGS": "-buildvcs=false"},
            stderr=subprocess.PIPE,
            text=True,
        )
        last_lines = _follow(part, building)
        if building.wait():
            hint = f" ({_TOO_OLD})" if "requires go" in last_lines else ""
            raise RuntimeError(f"{part.name} does not build{hint}: {last_lines}")
        _put(Path(work), part.built)
    print(f"  {part.name} built in {time.monotonic() - began:.0f} s", flush=True)


def _follow(part: Part, building: subprocess.Popen[str]) -> str:
    """Says now and then how far it is; returns the last lines, which tell what went wrong."""
    assert building.stderr is not None
    last_lines: deque[str] = deque(maxlen=20)
    said = time.monotonic()
    for count, line in enumerate(building.stderr, 1):
        last_lines.append(line)
        if time.monotonic() - said > _PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"  {part.name}: {count} packages", flush=True)
    return "".join(last_lines)


def _new_folder(beside: Path) -> tempfile.TemporaryDirectory[str]:
    beside.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(
        prefix="building-", dir=beside.parent, ignore_cleanup_errors=True
    )


def _put(work: Path, place: Path) -> None:
    """In one step, so that what is there is whole."""
    work.chmod(0o755)
    try:
        work.rename(place)
    except OSError:
        if not place.is_dir():  # somebody else was quicker
            raise
