"""Programs that tests run, from the distribution's packages: installed when tests run as root."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

_LOCK: Final = Path("/run/mmsnap-tests-packages.lock")


def require_packages(names: Iterable[str]) -> None:
    """Installs what is missing; the test is skipped where that may not be done."""
    wanted = [name for name in names if not _is_installed(name)]
    if wanted and os.geteuid() != 0:
        pytest.skip(f"not installed, and only root may: {' '.join(wanted)}")
    install_packages(wanted)


def install_packages(names: Iterable[str]) -> None:
    """Installs what is missing, and says so; as root. One run of tests after the other."""
    if all(map(_is_installed, names := tuple(names))):
        return
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = [name for name in names if not _is_installed(name)]
        if wanted:
            _install(wanted)


def _install(wanted: list[str]) -> None:
    print(f"installing Debian's {' '.join(wanted)}", flush=True)
    # Debian starts what it installs; here only the tests start servers.
    policy = Path("/usr/sbin/policy-rc.d")
    kept = policy.read_text() if policy.exists() else None
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
            subprocess.run(["apt-get", "-q", *words], env=environment, check=True)
    finally:
        if kept is None:
            policy.unlink()
        else:
            policy.write_text(kept)


def _is_installed(package: str) -> bool:
    told = subprocess.run(
        ["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True, check=False
    )
    # A package that another one names is known as "unknown ok not-installed".
    return told.stdout.split()[-1:] == ["installed"]
