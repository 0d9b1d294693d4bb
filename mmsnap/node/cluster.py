"""What makes a service one node of several: its name, where it is, its certificates, etcd."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmsnap.catalog import Catalog
from mmsnap.node.ledger import Ledger
from mmsnap.node.link_door import LinkDoor, host_of
from mmsnap.node.link_tls import LinkTls
from mmsnap.node.mesh import Mesh
from mmsnap.node.ports import refusal
from mmsnap.node.switchboard import Switchboard
from mmsnap.node.tls import TlsFiles

if TYPE_CHECKING:
    from mmsnap.catalog.etcd import Etcd
    from mmsnap.catalog.etcd_mirror import EtcdMirrorSource


@dataclass(frozen=True, slots=True)
class Cluster:
    """A node among others.

    Attributes:
        node: its name, a DNS label.
        listen: HOST:PORT to serve at.
        advertise: HOST:PORT where the others reach it.
        link_port: where the others' links come in, at the same host; 0: any port that is free.
        etcd: endpoints, like http://10.0.0.1:2379.
        roles: the file that says what clients with certificates may do.
        replicas: copies on other nodes of every checkpoint that does not say how many.
        fence_command: a program that shuts a node off, called with its name; when it ends with
            0, that node does not run any more.
    """

    node: str
    listen: str
    advertise: str
    etcd: tuple[str, ...]
    tls: TlsFiles
    etcd_tls: TlsFiles | None = None
    roles: Path | None = None
    replicas: int = 0
    fence_command: tuple[str, ...] = ()
    link_port: int = 0

    def catalog(self) -> Catalog:
        """The catalog of all nodes."""
        # Not every node has others.
        from mmsnap.catalog.etcd_catalog import EtcdCatalog

        return EtcdCatalog(self._etcd())

    def _etcd(self) -> Etcd:
        from mmsnap.catalog.etcd import Etcd, Tls

        files = self.etcd_tls
        tls = None if files is None else Tls(files.authority, files.certificate, files.key)
        return Etcd(self.etcd, tls=tls)

    def mirror_source(self) -> EtcdMirrorSource:
        """The same catalog, by a connection of its own."""
        from mmsnap.catalog.etcd_mirror import EtcdMirrorSource

        return EtcdMirrorSource(self._etcd())

    def mesh(self, ledger: Ledger, switchboard: Switchboard) -> Mesh:
        """The others, as this node reaches them."""
        return Mesh(self.node, self.advertise, self.tls, ledger, switchboard)

    def link_door(self) -> LinkDoor:
        """Where the others' links come in; InUseError, UnsupportedError: not there."""
        host = host_of(self.listen)
        try:
            return LinkDoor(host, self.link_port, LinkTls(self.tls))
        except OSError as error:
            raise refusal("links", f"{host}:{self.link_port}", "--link-port", error) from error
