"""What freezes, dumps and restores needs root; CI is root, and runs all of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmsnap.process.installation import install
from tests.process.servers import SERVERS
from tests.process.site import Site, site


@pytest.fixture(scope="session")
def criu() -> None:
    """A CRIU that works, fetched once."""
    if os.geteuid() != 0:
        pytest.skip("freezing and restoring other processes needs root")
    install()


@pytest.fixture
def here(criu: None) -> Iterator[Site]:
    """A service with a pool of its own."""
    with site() as made:
        yield made


@pytest.fixture(scope="session")
def packages(criu: None) -> None:
    """The servers that are checkpointed, from the distribution's packages."""
    wanted = [name for kind in SERVERS for name in kind.packages if not _is_installed(name)]
    if wanted:
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
    return told.stdout.endswith("installed")
