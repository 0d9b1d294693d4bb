"""The image, as it is built from this checkout: what must be in it, and what must not."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmsnap.process.installation import cache_folder
from tests.image.product import archive_of_checkout, release
from tests.image.unpacked import Unpacked, unpack

LARGEST_BYTES = 400 << 20


@pytest.fixture(scope="session")
def archive() -> Path:
    """The image of this checkout, for `ctr images import`."""
    if os.geteuid() != 0:
        pytest.skip("building an image needs root")
    return archive_of_checkout(release())


@pytest.fixture(scope="session")
def image(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """Its files and its configuration."""
    return unpack(archive, tmp_path_factory.mktemp("image"))


def _files(image: Unpacked) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, folders, files in os.walk(image.root):
        for name in folders + files:
            path = Path(folder, name)
            yield path, path.lstat()


def test_it_is_small_enough_to_be_pulled_in_a_hurry(archive: Path) -> None:
    assert archive.stat().st_size < LARGEST_BYTES


def test_the_programs_of_all_three_roles_start(image: Unpacked) -> None:
    assert image.run("mmsnap", "agent", "--help").returncode == 0
    told = image.run("/opt/mmsnap/mmsnap-init", "--", "mmsnap", "--version")
    assert (told.returncode, told.stderr) == (0, "")
    if find_spec("mmsnap_operator"):
        assert image.run("python", "-m", "mmsnap_operator", "--help").returncode == 0


def test_doctor_finds_a_criu_that_works(image: Unpacked) -> None:
    told = image.run("mmsnap", "doctor", user="0:0")
    assert told.returncode == 0, told.stdout
    verdicts = {line[8:36].strip(): line[:8].strip() for line in told.stdout.splitlines()}
    assert verdicts["CRIU"] == "ok"
    assert verdicts["the kernel, for CRIU"] == "ok", told.stdout
    script = "from mmsnap.process.criu import find; print(*find().nft.command)"
    nft = image.run("python", "-c", script, user="0:0").stdout.split()
    assert "nftables v" in image.run(*nft, "--version", user="0:0").stdout


def test_nobody_needs_to_be_root_to_run_it(image: Unpacked) -> None:
    assert image.config["User"] == "65532:65532"
    assert image.config["Entrypoint"] == ["mmsnap"]
    told = image.run("python", "-c", "import os; print(os.getuid(), os.getgid(), os.getgroups())")
    assert told.stdout == "65532 65532 [65532]\n"


def test_it_says_what_it_is_and_how_it_fares(image: Unpacked) -> None:
    labels = image.config["Labels"]
    names = ("title", "description", "version", "revision", "licenses", "vendor")
    assert all(labels[f"org.opencontainers.image.{name}"] for name in names)
    assert labels["org.opencontainers.image.version"] in image.run("mmsnap", "--version").stdout
    assert image.config["Healthcheck"]["Test"] == ["CMD", "mmsnap", "ps"]
    assert image.run("mmsnap", "ps").returncode == 6, "no agent here: not healthy"


def test_an_agent_is_healthy(image: Unpacked) -> None:
    script = """
        mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && mkdir /run/mmsnap /dev/shm/pool
        mmsnap agent --pool /dev/shm/pool &
        for i in $(seq 100); do sleep 0.1; mmsnap ps && break; done
        kill $!; wait $!
    """
    told = image.run("bash", "-c", script, user="0:0")
    assert told.returncode == 0, told.stderr


def test_nothing_of_the_building_machine_is_in_it(image: Unpacked) -> None:
    """Neither its mirrors, certificates and pip settings, nor the places where they were lent."""
    for name in ("etc/pip.conf", "root/.config", "root/.cache", "etc/apt/apt.conf", "src", "image"):
        assert not (image.root / name).exists(), name
    for name in ("etc/apt/sources.list", "etc/resolv.conf", "etc/hosts", "etc/hostname"):
        assert not (image.root / name).exists() or not (image.root / name).read_bytes(), name
    told = subprocess.run(["pip3", "config", "list"], capture_output=True, text=True, check=True)
    values = {line.partition("=")[2].strip("'\"") for line in told.stdout.splitlines()}
    secrets = {value.encode() for value in values if "/" in value}
    secrets |= {str(Path(__file__).parents[2]).encode(), str(cache_folder()).encode()}
    for path, status in _files(image):
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        # Libraries name places where certificates may be.
        if b"\0" not in content:
            assert not [secret for secret in secrets if secret in content], path
    assert not [name for name in image.config["Env"] if "proxy" in name.lower() or "PIP" in name]


def test_it_can_build_nothing(image: Unpacked) -> None:
    programs = {
        path.name
        for path, status in _files(image)
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111
    }
    assert not programs & {"cc", "gcc", "g++", "ld", "make", "cmake", "pip", "pip3", "git", "curl"}


def test_nobody_can_change_it_or_become_somebody_else_by_it(image: Unpacked) -> None:
    for path, status in _files(image):
        if stat.S_ISLNK(status.st_mode):
            continue
        mode = status.st_mode
        shared = mode & stat.S_ISVTX and stat.S_ISDIR(mode)
        assert status.st_uid == 0 or path.is_relative_to(image.root / "var"), path
        assert shared or not mode & stat.S_IWOTH, path
        assert not (stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID)), path


def test_mmsnap_init_needs_nothing_of_the_image_it_is_copied_into(image: Unpacked) -> None:
    program = image.root / "opt/mmsnap/mmsnap-init"
    told = subprocess.run(["readelf", "-ld", program], capture_output=True, text=True, check=True)
    assert "INTERP" not in told.stdout
    assert "NEEDED" not in told.stdout
    assert program.stat().st_mode & 0o7777 == 0o755


def test_an_unchanged_checkout_is_not_built_twice(archive: Path) -> None:
    before = archive.stat()
    again = archive_of_checkout(release())
    assert again == archive
    assert again.stat().st_ino == before.st_ino
