"""The cluster of the tests: one for the session, of one node unless a test asks for three.

With MMSNAP_CLUSTER set it is the running cluster of that name, which is left as it is afterwards:
`python -m tests.cluster up` once, and every run of a test takes seconds. With `--keep` the cluster
that was made is left up to look around in.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.cluster import Cluster, prepare


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="leave the cluster up afterwards")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what is missing before the first test, whose time is limited, and lets it be seen."""
    wanted = any(Path(__file__).parent in item.path.parents for item in session.items)
    if not wanted or os.geteuid() != 0 or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        prepare()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Up, with `localhost/debian:bookworm` and `localhost/etcd:3.4` on every node."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a cluster")
    named = os.environ.get("MMSNAP_CLUSTER")
    cluster = Cluster(named or f"tests-{os.getpid()}")
    try:
        if not (named and cluster.is_up):
            cluster.up()
            for image in (images.debian(), images.etcd()):
                cluster.load_image(image)
        yield cluster
    finally:
        if request.config.getoption("--keep", default=False):
            _tell(request, f"\nleft up: python -m tests.cluster --name {cluster.name} status")
        elif not named:
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
    words = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-").lower()
    name = f"{words[:40].strip('-')}-{secrets.token_hex(2)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


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


def _tell(request: pytest.FixtureRequest, line: str) -> None:
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(line)
