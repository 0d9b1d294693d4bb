"""An image without a runtime: its files in a folder, its configuration, and programs run in it."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

# The mounts are of a namespace that ends with the program. The processes are the machine's, as an
# agent sees them.
_ENTER: Final = """
mount --bind "$1" "$1" && cd "$1" && mount -t proc proc proc || exit
mount --rbind /dev dev && mount --rbind /sys sys && pivot_root . . && umount --lazy . || exit
exec chroot --userspec="$2" / env -i "${@:3}"
"""
_COMMAND: Final = ("unshare", "--mount", "bash", "-c", _ENTER)


@dataclass(frozen=True)
class Unpacked:
    """The files as a container would see them."""

    root: Path
    config: dict[str, Any]

    def run(self, *words: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """A program of the image, as its own user unless told otherwise."""
        user = user or self.config["User"]
        return subprocess.run(
            [*_COMMAND, "bash", self.root, user, *self.config["Env"], *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Lays the layers of a docker-archive over each other, with owners and modes; needs root."""
    with tarfile.open(archive) as outer:
        manifest = _read_json(outer, "manifest.json")[0]
        for layer in manifest["Layers"]:
            opened = outer.extractfile(layer)
            assert opened
            extract: Sequence[str] = ("tar", "--numeric-owner", "-xpf", "-", "-C", str(folder))
            with subprocess.Popen(extract, stdin=subprocess.PIPE) as process:
                assert process.stdin
                while chunk := opened.read(1 << 20):
                    process.stdin.write(chunk)
                process.stdin.close()
                assert process.wait() == 0
        folder.chmod(0o755)
        return Unpacked(folder, _read_json(outer, manifest["Config"])["config"])


def _read_json(archive: tarfile.TarFile, name: str) -> Any:
    opened = archive.extractfile(name)
    assert opened
    return json.load(opened)
