"""The fear: a node shows another's certificate, or goes on with one that was renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mmsnap.catalog import NodeRecord, SqliteCatalog
from mmsnap.errors import NotFoundError
from mmsnap.node.ledger import Ledger
from mmsnap.node.mesh import Mesh
from mmsnap.node.switchboard import Exchange, Switchboard
from mmsnap.node.tls import TlsFiles


def put(authority: trustme.CA, folder: Path, name: str, pair: str) -> bytes:
    """A certificate for a node; its bytes."""
    leaf = authority.issue_cert("localhost", common_name=name)
    certificate = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    (folder / f"{pair}.crt").write_bytes(certificate)
    leaf.private_key_pem.write_to_path(str(folder / f"{pair}.key"))
    return certificate


class KnowsAnother(SqliteCatalog):
    """A catalog of one machine that has heard of another node all the same."""

    other: NodeRecord

    def nodes(self) -> dict[str, NodeRecord]:
        return {self.other.name: self.other}


class Nobody(Exchange):
    """Hears what a switchboard without members tells: nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a node with the certificates of the folder, which says that it is well."""
    put(trustme.CA(), tmp_path, "n1", "n1")
    served = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), served)
    files = TlsFiles.of_node(tmp_path, "n1")
    port = served.add_secure_port("localhost:0", files.server())
    served.start()
    yield f"localhost:{port}"
    served.stop(0)


def test_node_finds_its_own_certificate_among_those_of_all(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = put(authority, tmp_path, "n1", "n1")
    put(authority, tmp_path, "n2", "n2")
    put(authority, tmp_path, "other", "tls")
    assert TlsFiles.of_node(tmp_path, "n1").read()[1] == own


def test_folder_with_one_pair_is_the_nodes(tmp_path: Path) -> None:
    only = put(trustme.CA(), tmp_path, "n1", "tls")
    assert TlsFiles.of_node(tmp_path, "n1").read()[1] == only


def test_folder_without_a_certificate_for_the_node_is_refused(tmp_path: Path) -> None:
    put(trustme.CA(), tmp_path, "n2", "n2")
    with pytest.raises(NotFoundError, match=r"tls\.crt"):
        TlsFiles.of_node(tmp_path, "n1").read()


def test_server_shows_a_renewed_certificate_without_a_restart(server: str, tmp_path: Path) -> None:
    asyncio.run(ask(server, tmp_path))
    # Everything is new, also the authority: what was known before is of no use.
    put(trustme.CA(), tmp_path, "n1", "n1")
    asyncio.run(ask(server, tmp_path))


def test_node_speaks_to_others_with_its_renewed_certificate(server: str, tmp_path: Path) -> None:
    async def ask_before_and_after() -> None:
        catalog = KnowsAnother(tmp_path / "catalog.db")
        catalog.other = NodeRecord("n1", server)
        ledger = Ledger(catalog)
        files = TlsFiles.of_node(tmp_path, "n1")
        switchboard = Switchboard(tmp_path / "socket", Nobody())
        switchboard.start()
        mesh = Mesh("n2", "localhost:1", files, ledger, switchboard)
        assert await mesh.answers("n1")
        channel = await mesh._channel("n1")
        assert await mesh._channel("n1") is channel
        put(trustme.CA(), tmp_path, "n1", "n1")
        assert await mesh.answers("n1")
        assert await mesh._channel("n1") is not channel
        await mesh.close()
        switchboard.stop()
        ledger.close()

    asyncio.run(ask_before_and_after())


async def ask(server: str, folder: Path) -> None:
    """As a client with the certificate that is in the folder now, which trusts nobody else."""
    credentials = TlsFiles.of_node(folder, "n1").channel()
    async with grpc.aio.secure_channel(server, credentials) as channel:
        asked = health_pb2.HealthCheckRequest()
        await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=10)
