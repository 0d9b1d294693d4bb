"""Container images without a container engine: archives in Docker's format, from a folder of files.

What containerd imports: a tar with one layer, its configuration and a manifest. Images of the
product come from a Dockerfile and are not made here.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mmsnap.process.installation import cache_folder
from tests.cluster import binaries
from tests.debian import install_packages

_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RELEASE: Final = "bookworm"
_SOURCES: Final = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
DEBIAN: Final = f"localhost/debian:{_RELEASE}"
ETCD: Final = "localhost/etcd:3.4"


def archive(
    place: Path, name: str, root: Path, *, command: Sequence[str], **config: Sequence[str]
) -> None:
    """Writes an image of what lies under `root`; `config` as `Entrypoint=[…]`, `User=…`."""
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        layer = Path(folder, "layer.tar")
        owners = ["--numeric-owner", "--owner=0", "--group=0"] if os.geteuid() else []
        tar = [
            "tar",
            "--numeric-owner",
            *owners,
            "--xattrs",
            "-C",
            str(root),
            "-cf",
            str(layer),
            ".",
        ]
        subprocess.run(tar, check=True)
        with layer.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        described = {
            "architecture": _MACHINES[os.uname().machine],
            "os": "linux",
            "config": {"Cmd": list(command), "Env": [_PATH], **config},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        whole = Path(folder, "image.tar")
        with tarfile.open(whole, "w") as image:
            _add(image, "config.json", described)
            image.add(layer, "layer.tar")
            manifest = {"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}
            _add(image, "manifest.json", [manifest])
        whole.rename(place)


def pause(name: str) -> Path:
    """The archive of the image in which a pod's namespaces live."""
    program = binaries.pause()
    place = program.parent / "image.tar"
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=program.parent) as root:
            shutil.copy(program, root)
            Path(root).chmod(0o755)
            archive(place, name, Path(root), command=["/pause"], User="65535:65535")
    return place


def debian() -> Path:
    """The archive of `localhost/debian:bookworm`: a small Debian with Python, for test pods."""
    place = _cache() / f"debian-{_RELEASE}-python3.tar"
    if not place.exists():
        install_packages(("debootstrap",))
        print(f"making the image {DEBIAN}, two minutes", flush=True)
        with tempfile.TemporaryDirectory(dir=_cache()) as root:
            _bootstrap(Path(root))
            archive(place, DEBIAN, Path(root), command=["bash"])
    return place


def etcd() -> Path:
    """The archive of `localhost/etcd:3.4`: Debian's etcd, and nothing else but its libraries."""
    install_packages(("etcd-server", "etcd-client"))
    place = _cache() / "etcd-3.4.tar"
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=_cache()) as root:
            Path(root).chmod(0o755)
            for program in ("etcd", "etcdctl"):
                _copy_program(f"/usr/bin/{program}", Path(root))
            archive(place, ETCD, Path(root), command=["/usr/bin/etcd"])
    return place


def _bootstrap(root: Path) -> None:
    words = [
        "debootstrap",
        "--variant=minbase",
        "--include=python3",
        _RELEASE,
        str(root),
        _mirror(),
    ]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    if told.returncode:
        raise RuntimeError(f"no Debian for test pods: {told.stdout[-500:]}{told.stderr[-500:]}")
    root.chmod(0o755)
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()


def _copy_program(program: str, root: Path) -> None:
    """With the libraries it asks for, at the same places."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    for file in [program, *re.findall(r"(/\S+) \(0x", told)]:
        place = root / file.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def _mirror() -> str:
    """Where this machine gets its Debian packages."""
    for file in _SOURCES:
        text = file.read_text() if file.exists() else ""
        found = re.search(r"^URIs:\s*(\S+)|^deb\s+(?:\[[^]]*\]\s+)?(\S+)", text, re.MULTILINE)
        if found:
            return found[1] or found[2]
    raise RuntimeError("this machine names no source of Debian packages")


def _cache() -> Path:
    folder = cache_folder() / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _add(image: tarfile.TarFile, name: str, content: Any) -> None:
    data = json.dumps(content).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    image.addfile(entry, io.BytesIO(data))
