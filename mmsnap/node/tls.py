"""Certificates: who a node trusts, and who it is. Read from files, and again when they change."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

from mmsnap.errors import NotFoundError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the authority that is trusted, and the node's own certificate and key."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def of_node(cls, folder: Path, node: str) -> TlsFiles:
        """In a folder with one pair, tls.crt and tls.key, or one of each node: NODE.crt, NODE.key.

        The second is what one Secret for all nodes of a Kubernetes looks like in a pod.
        """
        own = folder / f"{node}.crt"
        pair = node if own.exists() else "tls"
        return cls(folder / "ca.crt", folder / f"{pair}.crt", folder / f"{pair}.key")

    def read(self) -> tuple[bytes, bytes, bytes]:
        """All three; NotFoundError."""
        try:
            return (
                self.authority.read_bytes(),
                self.certificate.read_bytes(),
                self.key.read_bytes(),
            )
        except OSError as error:
            raise NotFoundError(
                f"the certificate {error.filename} can not be read: {error.strerror}",
                subject=str(error.filename),
            ) from error

    def server(self) -> grpc.ServerCredentials:
        """For a server that wants a certificate of everybody; renewed while it serves."""
        known = self.read()

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal known
            try:
                now = self.read()
            except NotFoundError as error:
                log.warning("%s: going on with the one before", error)
                return None
            if now == known:
                return None
            known = now
            log.info("the certificates were renewed")
            return _configuration(now)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(known),
            renewed,  # type: ignore[arg-type]  # None: as before
            require_client_authentication=True,
        )

    def channel(self) -> grpc.ChannelCredentials:
        """For a channel to another node."""
        authority, certificate, key = self.read()
        return grpc.ssl_channel_credentials(authority, key, certificate)


def _configuration(read: tuple[bytes, bytes, bytes]) -> grpc.ServerCertificateConfiguration:
    authority, certificate, key = read
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)
