"""Who may speak to whom: one certificate authority of the cluster's own, and what it signs.

Kubernetes takes a certificate's common name for the user and its organization for the group, so
that every component has the rights it has anywhere, and no more.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Final

import trustme

from tests.cluster.network import FIRST_SERVICE, address

API_SERVER: Final = f"https://{address(1)}:6443"
_NODES: Final = 3
# File name, user, group.
_USERS: Final = (
    ("admin", "admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("coredns", "system:coredns", ""),
    ("provisioner", "system:volume-provisioner", ""),
    *((f"node{n}", f"system:node:node{n}", "system:nodes") for n in range(1, _NODES + 1)),
)
_NAMES_OF_API_SERVER: Final = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "127.0.0.1",
    address(1),
    FIRST_SERVICE,
)


def write_keys(folder: Path) -> None:
    """All keys, certificates and kubeconfigs, unless they are there."""
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = trustme.CA(organization_name="mmsnap tests")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    authority.private_key_pem.write_to_path(folder / "ca.key")
    server = authority.issue_cert(*_NAMES_OF_API_SERVER, common_name="kube-apiserver")
    _write(server, folder / "apiserver")
    _write(authority.issue_cert("service-accounts"), folder / "service-accounts")
    for name, user, group in _USERS:
        # A node's is also what its kubelet shows to the API server.
        number = name.removeprefix("node")
        names = [name, address(int(number))] if number.isdigit() else [name]
        _write(
            authority.issue_cert(*names, common_name=user, organization_name=group or user),
            folder / name,
        )
        (folder / f"{name}.kubeconfig").write_text(_kubeconfig(folder, name))
    (folder / "complete").touch()


def _write(leaf: trustme.LeafCert, place: Path) -> None:
    leaf.private_key_pem.write_to_path(place.with_name(f"{place.name}.key"))
    place.with_name(f"{place.name}.crt").write_bytes(
        b"".join(each.bytes() for each in leaf.cert_chain_pems)
    )


def _kubeconfig(folder: Path, name: str) -> str:
    def inline(file: str) -> str:
        return b64encode((folder / file).read_bytes()).decode()

    return f"""apiVersion: v1
kind: Config
clusters:
- name: mmsnap
  cluster: {{server: "{API_SERVER}", certificate-authority-data: {inline("ca.crt")}}}
users:
- name: {name}
  user: {{client-certificate-data: {inline(f"{name}.crt")},
    client-key-data: {inline(f"{name}.key")}}}
contexts: [{{name: mmsnap, context: {{cluster: mmsnap, user: {name}}}}}]
current-context: mmsnap
"""
