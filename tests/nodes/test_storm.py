"""The fear: several faults at once, of kinds that nobody thought of together."""

from __future__ import annotations

import os

import pytest

from tests.nodes.storm import storm

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are root's to make")


@pytest.mark.timeout(300)
def test_nothing_is_torn_or_lost_in_a_storm() -> None:
    with storm(1, deadly=True) as blowing:
        blowing.blow(40)
