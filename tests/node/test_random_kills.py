"""Random kills, a quick search; tests/prove has the long one."""

import pytest

from tests.node.kills import Hunt
from tests.node.pool_site import Site


@pytest.mark.parametrize("seed", [1, 2])
def test_random_kills_leave_whole_checkpoints_and_nobody_stopped(
    empty_site: Site, seed: int
) -> None:
    hunt = Hunt(empty_site, seed)
    hunt.rounds(8)


@pytest.mark.parametrize("fault", ["runs ahead", "forgets commits"])
def test_hunt_finds_a_broken_service(fault: str) -> None:
    """Were it not for this, the search above might look at nothing."""
    site = Site(fault)
    try:
        hunt = Hunt(site, 3)
        with pytest.raises(AssertionError):
            hunt.rounds(60)
    finally:
        site.close()
