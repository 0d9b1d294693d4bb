"""buildah with a storage of its own, without a daemon, and with this machine's mirrors lent to it.

Builds run in a chroot on this machine's network, which works in a container as well. The mirrors'
settings are mounted for the time of a build; what of them stays is empty places, in stages that the
image leaves behind.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from mmsnap.process.installation import cache_folder
from tests.debian import require_packages
from tests.image.base import apt_sources, base_archive
from tests.image.progress import step

PACKAGES: Final = ("buildah", "debootstrap")
_PIP_SETTINGS: Final = ("extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
# The next build after that is a cold one.
_MOST_STEPS: Final = 100
_PIP_FOLDER: Final = "/root/.config/pip"


class BuildError(Exception):
    """What buildah said last."""


def prepare() -> str:
    """The name of the base image, made and known to buildah."""
    require_packages(PACKAGES)
    archive = base_archive()
    name = f"localhost/debian:{archive.stem}"
    if not run("images", "--quiet", "--filter", f"reference={name}"):
        with step("storing the base image"):
            container = run("from", "scratch")
            run("add", container, str(archive), "/")
            run("config", "--cmd", "bash", container)
            run("commit", "--rm", container, name)
    return name


def build(context: Path, dockerfile: Path, tag: str, arguments: dict[str, str]) -> None:
    """Builds an image; steps that did not change are not done again."""
    with _mirrors() as lent:
        run(
            "build",
            "--layers",
            "--force-rm",
            "--format=docker",
            "--isolation=chroot",
            "--pull-never",
            f"--file={dockerfile}",
            f"--tag={tag}",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *(f"--volume={here}:{there}:ro" for here, there in lent.items()),
            str(context),
        )


def export(tag: str, archive: Path, name: str) -> None:
    """As a tar for `ctr images import`, where the image goes by `name`."""
    archive.unlink(missing_ok=True)
    run("push", tag, f"docker-archive:{archive}:{name}")


def make_room(kept: set[str]) -> None:
    """Forgets tagged images but these, and the steps of old builds when they have become many."""
    told = run("images", "--format", "{{.Name}}:{{.Tag}}")
    names = {line for line in told.splitlines() if line.startswith("localhost/mmsnap:")}
    # What another build stands on can not go, and has another turn.
    for name in names - kept:
        with suppress(BuildError):
            run("rmi", name)
    if len(run("images", "--quiet", "--all").splitlines()) > _MOST_STEPS:
        with suppress(BuildError):
            run("rmi", "--prune")


def run(*words: str) -> str:
    """One command of buildah's; what it printed."""
    done = subprocess.run([*_command(), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = (done.stdout + done.stderr).strip().splitlines()
        raise BuildError("\n".join([f"buildah {words[0]} failed", *told[-30:]]))
    return done.stdout.strip()


@cache
def _command() -> list[str]:
    folder = cache_folder() / "images"
    overlay = "overlay" in Path("/proc/filesystems").read_text().split()
    return [
        "buildah",
        f"--root={folder / 'storage'}",
        f"--runroot={folder / 'run'}",
        f"--storage-driver={'overlay' if overlay else 'vfs'}",
    ]


@contextmanager
def _mirrors() -> Iterator[dict[str, str]]:
    """This machine's settings of apt and pip: what to mount, and where."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        pip, apt = folder / "pip", folder / "apt.conf"
        pip.mkdir()
        (pip / "pip.conf").write_text(_pip_settings(pip))
        apt.write_text(_apt_settings())
        yield {
            str(apt_sources()): f"/etc/apt/{_place()}",
            str(apt): "/etc/apt/apt.conf",
            str(pip): _PIP_FOLDER,
        }


def _place() -> str:
    sources = apt_sources()
    return "sources.list" if sources.suffix == ".list" else f"sources.list.d/{sources.name}"


def _apt_settings() -> str:
    """How packages are fetched here, as far as it is not the default."""
    told = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    return "".join(f"{line}\n" for line in told.stdout.splitlines() if line.startswith("Acquire::"))


def _pip_settings(folder: Path) -> str:
    lines = ["[global]"]
    told = subprocess.run(
        ["pip3", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    for line in told.splitlines():
        name, _, value = line.partition("=")
        name, value = name.rpartition(".")[2], value.strip("'\"")
        if name == "cert":
            (folder / "ca.pem").write_bytes(Path(value).read_bytes())
            lines.append(f"cert = {_PIP_FOLDER}/ca.pem")
        elif name in _PIP_SETTINGS:
            lines.append(f"{name} = {value}")
    return "\n".join(dict.fromkeys(lines)) + "\n"
