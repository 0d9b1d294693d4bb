"""What freezes, dumps and restores needs root; CI is root, and runs all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mmsnap.process.installation import install
from tests.debian import require_packages
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
    """The servers that are checkpointed."""
    require_packages(name for kind in SERVERS for name in kind.packages)
