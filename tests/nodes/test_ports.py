"""A node that can not listen where it was told to says so, and is not in the way of the others."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.nodes.site import Cluster, Node, cluster


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    with cluster(2) as made:
        yield made


@pytest.fixture(scope="module")
def stopped(pair: Cluster) -> Iterator[Node]:
    """The second node, killed; what was refused is not in its way when it starts again."""
    node = pair.nodes[1]
    node.kill()
    yield node
    node.start()
    assert pair.nodes[0].mmsnap("ps").returncode == 0


def words_of(node: Node, *options: str) -> str:
    """What a service says that does not come up."""
    said_before = len(node.log)
    node.launch(*options)
    assert node.process.wait(30) == 1
    return node.log[said_before:]


@pytest.mark.parametrize(
    ("option", "what"), [("--listen", "calls"), ("--metrics", "metrics"), ("--link-port", "links")]
)
def test_a_port_that_is_taken_is_said_in_one_line(stopped: Node, option: str, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        at = port if option == "--link-port" else f"127.0.0.1:{port}"
        said = words_of(stopped, option, at)
    assert f"mmsnap: the port for {what}, 127.0.0.1:{port}, is taken" in said
    assert f"hint: give another {option}" in said
    assert "Traceback" not in said


def test_two_nodes_never_share_a_port(pair: Cluster, stopped: Node) -> None:
    said = words_of(stopped, "--listen", f"127.0.0.1:{pair.nodes[0].port}")
    assert f"127.0.0.1:{pair.nodes[0].port}, is taken" in said


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("192.0.2.1:7443", "192.0.2.1:7443"),
        ("no-such-host.invalid:7443", "no-such-host.invalid:7443"),
        ("2001:db8::1:7443", "[2001:db8::1]:7443"),  # as $(HOST_IP):PORT makes it
        ("[2001:db8::1]:7443", "[2001:db8::1]:7443"),
    ],
)
def test_an_address_of_another_machine_is_said(stopped: Node, given: str, place: str) -> None:
    said = words_of(stopped, "--listen", given)
    assert f"mmsnap: calls can not be served at {place}: " in said
    assert "hint: give --listen an address of this machine" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("option", ["--listen", "--advertise"])
@pytest.mark.parametrize("nonsense", ["nine", "7443", ":7443", "host:", "host:0", "host:65536"])
def test_what_is_no_address_is_a_usage_error(pair: Cluster, option: str, nonsense: str) -> None:
    node = pair.nodes[0]
    words = ["--pool", str(node.pool), "--node", node.name, "--tls", str(node.tls)]
    words += ["--etcd", "http://127.0.0.1:2379", "--listen", "127.0.0.1:7443"]
    refused = node.mmsnap("agent", *words, f"{option}={nonsense}")
    assert refused.returncode == 2, refused.stderr
    assert "10.0.0.1:7443" in refused.stderr


@pytest.mark.parametrize(
    "nonsense", ["nine", "10.0.0.1:2379", "ftp://h:2379", "http://h:0", "http://h:65536", "http://"]
)
def test_what_is_no_endpoint_of_etcd_is_a_usage_error(pair: Cluster, nonsense: str) -> None:
    node = pair.nodes[0]
    words = ["--pool", str(node.pool), "--node", node.name, "--tls", str(node.tls)]
    refused = node.mmsnap("agent", *words, "--listen", "127.0.0.1:7443", f"--etcd={nonsense}")
    assert refused.returncode == 2, refused.stderr
    assert "http://10.0.0.1:2379" in refused.stderr
