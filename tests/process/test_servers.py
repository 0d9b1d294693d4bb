"""Real servers, checkpointed and restored; `make prove` does it fifty times each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ports import free_port
from tests.process.servers import SERVERS, Server, cycle, started
from tests.process.site import Site


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.__name__)
def test_its_state_after_a_restore_is_that_of_the_cut(
    here: Site, tmp_path: Path, kind: type[Server]
) -> None:
    with started(kind, here, tmp_path, free_port()) as server:
        for number in range(3):
            cycle(server, number)
