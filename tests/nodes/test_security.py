"""Who may ask what: certificates, roles, and requests that make no sense."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import trustme

from mmsnap.group.messages import Begin, Failed, Quiesce
from mmsnap.node.enlistment import PROTOCOL_VERSION
from mmsnap.node.frames import FrameStream, Over, encode_frame
from mmsnap.node.packets import decode, encode
from mmsnap.rpc.v1 import mmsnap_pb2, mmsnap_pb2_grpc, peer_pb2, peer_pb2_grpc
from tests.nodes.site import MMSNAP, Cluster, Node, await_true, bank, cluster, issue

FENCED = 12  # MM_E_FENCED of native/include/mmsnap.h, positive
Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    with cluster(2) as made:
        yield made


@pytest.fixture
def node(pair: Cluster) -> Node:
    return pair.nodes[0]


@pytest.fixture
def ask(pair: Cluster, node: Node, tmp_path: Path) -> Ask:
    """Types a command over TLS, with a certificate for a name."""

    def run(
        name: str,
        *words: str,
        authority: trustme.CA | None = None,
        not_after: datetime | None = None,
    ) -> subprocess.CompletedProcess[str]:
        issue(tmp_path / name, authority or pair.authority, name, not_after=not_after)
        (tmp_path / name / "ca.crt").write_bytes(pair.authority.cert_pem.bytes())
        environment = os.environ | {
            "MMSNAP_ADDRESS": f"tls://127.0.0.1:{node.port}",
            "MMSNAP_TLS": str(tmp_path / name),
        }
        return subprocess.run(
            [MMSNAP, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_roles_allow_what_they_say_and_no_more(ask: Ask, node: Node, pair: Cluster) -> None:
    with bank(pair.nodes, 2):
        assert "may not ListMembers" in ask("viewer", "ps").stderr, "without a role, nothing"
        node.roles.write_text('[roles]\nviewer = "view"\nnightly = "checkpoint"\nboss = "admin"\n')
        assert ask("viewer", "ps").returncode == 0
        told = ask("viewer", "checkpoint", "create", "bank", "--name", "v")
        assert (told.returncode, "needs the role checkpoint" in told.stderr) == (1, True)
        assert ask("nightly", "checkpoint", "create", "bank", "--name", "n").returncode == 0
        assert "needs the role restore" in ask("nightly", "restore", "bank", "n").stderr
        told = ask("nightly", "checkpoint", "export", "bank", "n", "/tmp/never.mmsnap")
        assert "needs the role admin" in told.stderr
        assert not Path("/tmp/never.mmsnap").exists()
        told = ask("nightly", "checkpoint", "prune", "bank", "--keep-last", "0", "--yes")
        assert "needs the role admin" in told.stderr
        assert ask("boss", "restore", "bank", "n").returncode == 0
        assert "may not" in ask("n2", "ps").stderr, "a node is no client"
        node.roles.write_text("[roles]\nviewer = 7\n")
        assert ask("viewer", "ps").returncode == 0, "a file that makes no sense changes nothing"
        assert "going on with the roles before" in node.log


def test_certificates_that_are_not_good_are_refused(ask: Ask, node: Node) -> None:
    node.roles.write_text('[roles]\nviewer = "view"\n')
    assert ask("viewer", "ps").returncode == 0
    assert ask("viewer", "ps", authority=trustme.CA()).returncode == 6
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert ask("viewer", "ps", not_after=yesterday).returncode == 6


def test_without_a_certificate_nobody_is_heard(node: Node, pair: Cluster) -> None:
    target = f"127.0.0.1:{node.port}"
    root = pair.authority.cert_pem.bytes()
    for channel in (
        grpc.insecure_channel(target),
        grpc.secure_channel(target, grpc.ssl_channel_credentials(root)),
    ):
        with channel, pytest.raises(grpc.RpcError) as told:
            mmsnap_pb2_grpc.AgentStub(channel).ListMembers(
                mmsnap_pb2.ListMembersRequest(), timeout=5
            )
        assert told.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def as_node(node: Node, pair: Cluster) -> Iterator[grpc.Channel]:
    """A channel with the certificate of the other node."""
    with channel_of(pair.nodes[1].tls, node) as channel:
        yield channel


def channel_of(tls: Path, node: Node) -> grpc.Channel:
    read = ((tls / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
    return grpc.secure_channel(f"127.0.0.1:{node.port}", grpc.ssl_channel_credentials(*read))


def enlist(channel: grpc.Channel, *requests: peer_pb2.EnlistRequest) -> str:
    """What the node says to a call that it must refuse."""
    with pytest.raises(grpc.RpcError) as told:
        list(peer_pb2_grpc.PeerStub(channel).Enlist(iter(requests), timeout=20))
    return f"{told.value.code().name}: {told.value.details()}"


def opening(version: int = PROTOCOL_VERSION, group: str = "bank") -> peer_pb2.EnlistRequest:
    return peer_pb2.EnlistRequest(
        open=peer_pb2.EnlistOpen(group=group, coordinator="n2", protocol_version=version)
    )


def test_only_a_node_takes_part_in_operations(node: Node, pair: Cluster, tmp_path: Path) -> None:
    issue(tmp_path / "boss", pair.authority, "boss")
    node.roles.write_text('[roles]\nboss = "admin"\n')
    with channel_of(tmp_path / "boss", node) as channel:
        assert "boss is no node of this cluster" in enlist(channel, opening())
        peer = peer_pb2_grpc.PeerStub(channel)
        with pytest.raises(grpc.RpcError, match="boss is no node"):
            peer.GetUsage(mmsnap_pb2.GetUsageRequest(), timeout=5)
        with pytest.raises(grpc.RpcError, match="boss is no node"):
            next(peer.Watch(mmsnap_pb2.WatchRequest(), timeout=5))
        with pytest.raises(grpc.RpcError, match="Unix socket"):
            mmsnap_pb2_grpc.AgentStub(channel).Attach(
                mmsnap_pb2.AttachRequest(group="bank", member="m9", pid=1), timeout=5
            )


def test_a_node_of_another_version_is_told(as_node: grpc.Channel) -> None:
    assert "version 99 of the protocol" in enlist(as_node, opening(version=99))


@pytest.mark.parametrize(
    "nonsense",
    [
        peer_pb2.EnlistRequest(),
        opening(group="../etc"),
        opening(group=""),
        opening(group="x" * 500_000),
        opening(group="x" * (2 << 20)),
    ],
    ids=["nothing", "path", "empty", "long", "longer"],
)
def test_nonsense_is_refused_and_the_node_serves_on(
    as_node: grpc.Channel, node: Node, nonsense: peer_pb2.EnlistRequest
) -> None:
    assert enlist(as_node, nonsense)
    assert node.mmsnap("ps").returncode == 0


@contextmanager
def lent(channel: grpc.Channel, node: Node, tls: Path) -> Iterator[Lent]:
    """A node's members of the bank, lent to whom this certificate names."""
    call = peer_pb2_grpc.PeerStub(channel).Enlist(iter([opening()]), timeout=60)
    seats = next(call).seats
    context = ssl.create_default_context(cafile=str(tls / "ca.crt"))
    context.load_cert_chain(tls / "tls.crt", tls / "tls.key")
    with (
        socket.create_connection(("127.0.0.1", seats.link.port), 10) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as link,
    ):
        link.sendall(seats.link.token)
        assert link.recv(1) == b"\x01"
        yield Lent(seats.seats[0].token, link, call)


@dataclass
class Lent:
    """The token of a member, the link, and the call, which ends when all is over."""

    token: int
    link: ssl.SSLSocket
    call: Iterator[peer_pb2.EnlistReply]


@pytest.mark.parametrize(
    "nonsense",
    [b"\xff\xff\x01" + bytes(1 << 16), b"\x05\x00\x01short", b"\xc0\x00\x01" + bytes(192)],
    ids=["oversized", "short", "no packet"],
)
def test_nonsense_on_a_link_ends_the_operation_and_nothing_else(
    as_node: grpc.Channel, node: Node, pair: Cluster, nonsense: bytes
) -> None:
    with bank(pair.nodes, 2) as members:
        with lent(as_node, node, pair.nodes[1].tls) as other:
            with suppress(OSError):  # it may hang up before it has heard all of it
                other.link.sendall(nonsense)
            assert not list(other.call), "it is over, and gives the turn back"
        assert "sent nonsense" in node.log
        create = ("checkpoint", "create", "bank")
        await_true(lambda: node.mmsnap(*create).returncode == 0, "the next one works")
        assert members.all_run()


def test_orders_that_are_replayed_are_shut_out(as_node: grpc.Channel, pair: Cluster) -> None:
    """A node that has heard an operation says all of it once more."""
    node = pair.nodes[0]
    with bank(pair.nodes, 2) as members:
        for name in ("r1", "r2"):
            assert node.mmsnap("checkpoint", "create", "bank", "--name", name).returncode == 0
        with lent(as_node, node, pair.nodes[1].tls) as other:
            for order in (Begin(2, "r2", False, 10**9, 0), Quiesce(2, 10**9, 10**9)):
                other.link.sendall(encode_frame(encode(order, other.token)))
            stream, refused = FrameStream(), 0
            while refused < 2:
                data = other.link.recv(1 << 14)
                assert data, "it hung up"
                for frame in stream.feed(data):
                    assert isinstance(frame, bytes)
                    _, report = decode(frame)
                    assert isinstance(report, Failed)
                    assert report.status == FENCED
                    refused += 1
            other.link.sendall(encode_frame(Over()))
            assert not list(other.call)
        assert members.all_run()
        assert node.mmsnap("checkpoint", "create", "bank", "--name", "r3").returncode == 0


PART = peer_pb2.PartName(group="bank", member="m0", engine=1, epoch=10**6)


def test_nobody_but_a_node_gets_parts_of_checkpoints(
    node: Node, pair: Cluster, tmp_path: Path
) -> None:
    issue(tmp_path / "boss", pair.authority, "boss")
    node.roles.write_text('[roles]\nboss = "admin"\n')
    with channel_of(tmp_path / "boss", node) as channel:
        peer = peer_pb2_grpc.PeerStub(channel)
        for call in (
            lambda: next(peer.Fetch(peer_pb2.FetchRequest(part=PART), timeout=9)),
            lambda: peer.Keep(peer_pb2.KeepRequest(part=PART, source="n2"), timeout=9),
            lambda: peer.Verify(peer_pb2.VerifyRequest(part=PART), timeout=9),
            lambda: peer.Release(peer_pb2.ReleaseRequest(group="bank", member="m0"), timeout=9),
            lambda: next(peer.Locate(peer_pb2.LocateRequest(group="bank"), timeout=9)),
            lambda: peer.Acquaint(iter([peer_pb2.AcquaintRequest(group="bank")]), timeout=9),
        ):
            with pytest.raises(grpc.RpcError, match="boss is no node"):
                call()


def test_nonsense_about_parts_is_told_as_what_it_is(as_node: grpc.Channel, node: Node) -> None:
    peer = peer_pb2_grpc.PeerStub(as_node)

    def told(part: peer_pb2.PartName) -> str:
        with pytest.raises(grpc.RpcError) as error:
            next(peer.Fetch(peer_pb2.FetchRequest(part=part), timeout=20))
        return str(error.value.code().name)

    assert told(PART) == "NOT_FOUND"
    assert told(peer_pb2.PartName(group="..", member="m0", engine=1)) == "INVALID_ARGUMENT"
    assert told(peer_pb2.PartName(group="bank", member="m0", engine=77)) == "INVALID_ARGUMENT"
    located = peer_pb2.AcquaintRequest(located=peer_pb2.Located(whereabouts=b"no"))
    with pytest.raises(grpc.RpcError) as error:
        peer.Acquaint(iter([peer_pb2.AcquaintRequest(group="bank"), located]), timeout=20)
    assert error.value.code().name == "DATA_LOSS"
    assert node.mmsnap("ps").returncode == 0


def test_renewed_certificates_are_taken_without_a_restart(
    ask: Ask, node: Node, pair: Cluster
) -> None:
    node.roles.write_text('[roles]\nviewer = "view"\n')
    renewed = trustme.CA()
    both = pair.authority.cert_pem.bytes() + renewed.cert_pem.bytes()
    issue(node.tls, pair.authority, node.name)
    (node.tls / "ca.crt").write_bytes(both)
    told = ask("viewer", "ps", authority=renewed)
    assert told.returncode == 0, told.stderr
    assert "the certificates were renewed" in node.log
