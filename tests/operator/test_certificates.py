"""The fear: a node that nobody believes, or a certificate that ends while everybody sleeps."""

from __future__ import annotations

import base64
import datetime
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from mmsnap_operator import credentials
from mmsnap_operator.certificates import (
    Pair,
    Subject,
    is_authority,
    is_due,
    issue,
    new_authority,
)
from mmsnap_operator.deployment import Context

NOW = datetime.datetime.now(datetime.UTC)
CONTEXT = Context("memorymachine", "memverge", "1234")
NODE = Subject("node1", ("node1",), ("127.0.0.1",))


def later(days: int) -> datetime.datetime:
    return NOW + datetime.timedelta(days=days)


def context_of(folder: Path, authority: Pair, own: Pair, *, server: bool) -> ssl.SSLContext:
    files = {"ca": authority.certificate, "crt": own.certificate, "key": own.key}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    context = ssl.create_default_context(purpose, cafile=str(folder / "ca"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "crt", folder / "key")
    return context


def greet(folder: Path, authority: Pair, server: Pair, client: Pair, host: str) -> str:
    """What two ends say to each other over mutual TLS; the name the server sees."""
    ends = socket.socketpair()
    serving = context_of(folder, authority, server, server=True)
    seen: list[str] = []

    def serve() -> None:
        with serving.wrap_socket(ends[0], server_side=True) as end:
            certificate: Any = end.getpeercert()
            seen.append(certificate["subject"][0][0][1])
            end.send(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    context = context_of(folder, authority, client, server=False)
    with context.wrap_socket(ends[1], server_hostname=host) as end:
        assert end.recv(1) == b"x"
    thread.join()
    return seen[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "node1"])
def test_node_is_believed_by_its_address_and_its_name(tmp_path: Path, host: str) -> None:
    authority = new_authority(NOW)
    node, other = issue(authority, NODE, NOW), issue(authority, Subject("node2"), NOW)
    assert greet(tmp_path, authority, node, other, host) == "node2"


def test_certificates_that_are_good_are_kept() -> None:
    authority = new_authority(NOW)
    pair = issue(authority, NODE, NOW)
    assert not is_due(pair, authority, NODE, NOW)
    assert not is_due(pair, authority, NODE, later(59))


@pytest.mark.parametrize(
    "subject",
    [
        Subject("node1", ("node1",), ("127.0.0.2",)),
        Subject("node1", ("node1", "more"), ("127.0.0.1",)),
        Subject("node2", ("node1",), ("127.0.0.1",)),
    ],
)
def test_another_is_issued_when_a_node_moved(subject: Subject) -> None:
    authority = new_authority(NOW)
    assert is_due(issue(authority, NODE, NOW), authority, subject, NOW)


def test_another_is_issued_a_month_before_the_end() -> None:
    authority = new_authority(NOW)
    assert is_due(issue(authority, NODE, NOW), authority, NODE, later(61))


def test_another_is_issued_by_another_authority() -> None:
    first, second = new_authority(NOW), new_authority(NOW)
    assert is_due(issue(first, NODE, NOW), second, NODE, NOW)


def test_damaged_certificate_or_key_is_replaced() -> None:
    authority = new_authority(NOW)
    good, other = issue(authority, NODE, NOW), issue(authority, NODE, NOW)
    for bad in (
        Pair(b"nonsense", good.key),
        Pair(good.certificate, b""),
        Pair(good.certificate, other.key),
    ):
        assert is_due(bad, authority, NODE, NOW)


def test_authority_is_kept_until_it_could_not_issue_any_more() -> None:
    secret = credentials.authority_secret(CONTEXT, None, NOW)
    again = credentials.authority_secret(CONTEXT, secret, later(3000))
    assert again["data"] == secret["data"]
    much_later = credentials.authority_secret(CONTEXT, secret, later(3600))
    assert much_later["data"] != secret["data"]
    assert is_authority(credentials.authority_of(much_later), later(3600))


def test_damaged_authority_is_replaced() -> None:
    bad = {"data": {"ca.crt": base64.b64encode(b"x").decode(), "ca.key": "!"}}
    assert credentials.authority_of(credentials.authority_secret(CONTEXT, bad, NOW))


def node(name: str, address: str) -> dict[str, Any]:
    addresses = [
        {"type": "InternalIP", "address": address},
        {"type": "Hostname", "address": name},
    ]
    return {"metadata": {"name": name}, "status": {"addresses": addresses}}


def test_new_node_changes_nothing_for_those_that_were_there() -> None:
    authority = new_authority(NOW)
    one = credentials.nodes_secret(CONTEXT, None, authority, [node("n1", "10.0.0.1")], NOW)
    both = [node("n1", "10.0.0.1"), node("n2", "10.0.0.2")]
    two = credentials.nodes_secret(CONTEXT, one, authority, both, NOW)
    assert two["data"]["n1.crt"] == one["data"]["n1.crt"]
    assert credentials.nodes_with_certificates(two) == ["n1", "n2"]


def test_node_that_is_gone_has_no_certificate_any_more() -> None:
    authority = new_authority(NOW)
    nodes = [node("n1", "10.0.0.1"), node("n2", "10.0.0.2")]
    two = credentials.nodes_secret(CONTEXT, None, authority, nodes, NOW)
    one = credentials.nodes_secret(CONTEXT, two, authority, nodes[:1], NOW)
    assert credentials.nodes_with_certificates(one) == ["n1"]
