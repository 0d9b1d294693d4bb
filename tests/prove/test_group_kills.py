"""Five hundred random kills of members, of the service and of both, in the middle of things."""

import pytest

from tests.node.kills import Hunt
from tests.node.pool_site import Site


@pytest.mark.parametrize("seed", range(10))
def test_no_random_kill_tears_a_group_or_leaves_a_member_stopped(seed: int) -> None:
    site = Site()
    try:
        Hunt(site, 1000 + seed).rounds(50)
    finally:
        site.close()
