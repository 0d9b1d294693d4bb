"""The cluster of the tests: one for the session, of one node unless a test asks for three.

With MMSNAP_CLUSTER set it is the running cluster of that name, which is left as it is afterwards:
`python -m tests.cluster up` once, and every run of a test takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster import images
from tests.cluster.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Up, with `localhost/debian:bookworm` and `localhost/etcd:3.4` on every node."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a cluster")
    kept = os.environ.get("MMSNAP_CLUSTER")
    cluster = Cluster(kept or f"tests-{os.getpid()}")
    try:
        if not (kept and cluster.is_up):
            cluster.up()
        for image in (images.debian(), images.etcd()):
            cluster.load_image(image)
        yield cluster
    finally:
        if not kept:
            cluster.down()


@pytest.fixture(scope="module")
def three_nodes(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster with three nodes, for the tests of one file."""
    before = {node.number for node in cluster.nodes}
    cluster.grow(3)
    yield cluster
    for node in cluster.nodes:
        if node.number not in before:
            cluster.remove_node(node.number)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = request.node.name.split("[")[0].replace("_", "-").lower()[:50].rstrip("-")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--timeout=90s", seconds=120)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """A test that failed has the logs gathered, before anything is taken down."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster is not None and cluster.is_up:
        report.sections.append(("cluster", f"logs: {cluster.gather()}"))
    return report
