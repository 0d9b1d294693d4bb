"""Fifty checkpoints and restores of each real server, with writes after each; needs root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ports import free_port
from tests.process.conftest import criu, here, packages  # noqa: F401
from tests.process.servers import SERVERS, Server, cycle, started
from tests.process.site import Site

_CYCLES = 50


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.__name__)
def test_fifty_cycles_without_a_failure(
    here: Site,  # noqa: F811
    tmp_path: Path,
    kind: type[Server],
) -> None:
    with started(kind, here, tmp_path, free_port()) as server:
        for number in range(_CYCLES):
            cycle(server, number)
