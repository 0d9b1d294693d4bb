"""Fixtures: a site with a service, and one with three workers attached."""

from collections.abc import Iterator

import pytest

from tests.node.pool_site import Site


@pytest.fixture
def empty_site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def site(empty_site: Site) -> Site:
    empty_site.start_agent()
    return empty_site


@pytest.fixture
def trio(site: Site) -> Site:
    site.start_workers("a", "b", "c")
    return site
