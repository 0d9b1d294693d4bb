"""What tests of catalogs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.etcd_cluster import EtcdCluster, etcd_cluster


@pytest.fixture(scope="session")
def etcd() -> Iterator[EtcdCluster]:
    """Three members."""
    with etcd_cluster(3) as cluster:
        yield cluster
