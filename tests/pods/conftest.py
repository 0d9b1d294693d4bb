"""Containers need root; CI is root, and runs all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mmsnap.process.installation import install
from tests.pods.kubelet import Kubelet, kubelet
from tests.pods.programs import build


@pytest.fixture(scope="session")
def programs() -> None:
    """What works inside of containers."""
    if os.geteuid() != 0:
        pytest.skip("containers are root's to make")
    install()
    build()


@pytest.fixture
def node(programs: None) -> Iterator[Kubelet]:
    """A node of its own, with no pods yet."""
    with kubelet() as made:
        yield made
