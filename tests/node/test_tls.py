"""The fear: a node shows another's certificate, or goes on with one that was renewed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mmsnap.errors import NotFoundError
from mmsnap.node.tls import TlsFiles


def put(authority: trustme.CA, folder: Path, name: str, pair: str) -> bytes:
    """A certificate for a node; its bytes."""
    leaf = authority.issue_cert("localhost", common_name=name)
    certificate = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    (folder / f"{pair}.crt").write_bytes(certificate)
    leaf.private_key_pem.write_to_path(str(folder / f"{pair}.key"))
    return certificate


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


def test_server_shows_a_renewed_certificate_without_a_restart(tmp_path: Path) -> None:
    authority = trustme.CA()
    put(authority, tmp_path, "n1", "n1")
    files = TlsFiles.of_node(tmp_path, "n1")
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_secure_port("localhost:0", files.server())
    server.start()
    try:
        assert asyncio.run(certificate_shown(port, tmp_path)) == files.read()[1]
        # Everything is new, also the authority: what was known before is of no use.
        put(trustme.CA(), tmp_path, "n1", "n1")
        assert asyncio.run(certificate_shown(port, tmp_path)) == files.read()[1]
    finally:
        server.stop(0)


async def certificate_shown(port: int, folder: Path) -> bytes:
    """What a server shows to a client with the certificate that is in the folder now."""
    files = TlsFiles.of_node(folder, "n1")
    async with grpc.aio.secure_channel(f"localhost:{port}", files.channel()) as channel:
        asked = health_pb2.HealthCheckRequest()
        await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=10)
    return files.read()[1]
