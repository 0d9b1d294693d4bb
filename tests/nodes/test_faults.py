"""The fear: a fault, in some phase, that loses or tears a checkpoint, or leaves members standing.

One role for each phase here; all roles and both ways are in `make faults`, which writes the table
docs/FAULTS.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nodes.fault_table import require_honest
from tests.nodes.faults import PHASES, ROLES, Theatre, theatre


@pytest.fixture(scope="module")
def stage() -> Iterator[Theatre]:
    with theatre() as made:
        yield made


@pytest.mark.parametrize(
    ("phase", "role"), [(phase, ROLES[at % 4]) for at, phase in enumerate(PHASES)]
)
def test_a_fault_in_a_phase_loses_nothing(stage: Theatre, phase: str, role: str) -> None:
    outcome = stage.run(phase, role, "killed")
    require_honest(outcome)
    assert outcome.gap_seconds < 6
