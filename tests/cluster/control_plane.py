"""What makes a cluster of nodes: etcd, API server, controllers, scheduler, DNS and volumes.

All of it runs on the first node, as programs of the machine rather than in pods, so that each can
be ended and started again by name. It has that node's kube-proxy, so that the API server reaches
webhooks by their service.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.cluster import network

_SERVICE_ACCOUNTS: Final = "https://kubernetes.default.svc.cluster.local"
_COREFILE: Final = """.:53 {{
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {keys}/coredns.kubeconfig mmsnap
        pods insecure
    }}
    cache 5
}}
"""
# What operators ask of the API server, so that it can be compared with what they may.
_AUDIT: Final = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["system:serviceaccount:memverge:memory-machine-operator"]}
- {level: None}
"""
CHECKOUT: Final = Path(__file__).parents[2]


def configure(keys: Path) -> None:
    """Writes what is not said on a command line."""
    (keys / "Corefile").write_text(_COREFILE.format(keys=keys))
    (keys / "audit.yaml").write_text(_AUDIT)


def audit_log(keys: Path) -> Path:
    """Where the API server writes what was asked of it."""
    return keys.parent / "audit.log"


def commands(keys: Path, nodes: Path) -> Mapping[str, Sequence[str]]:
    """The words that start each component, in the order in which they start."""
    return {
        "etcd": _etcd(),
        "apiserver": _api_server(keys),
        "controller-manager": _controller_manager(keys),
        "scheduler": (
            "kube-scheduler",
            f"--kubeconfig={keys}/scheduler.kubeconfig",
            "--leader-elect=false",
        ),
        "coredns": ("coredns", "-conf", f"{keys}/Corefile"),
        # The first node's own namespaces reach every node's folders: they are in the cluster's.
        "provisioner": (
            *("env", f"PYTHONPATH={CHECKOUT}", sys.executable),
            *("-m", "tests.cluster.provisioner", str(keys), str(nodes)),
        ),
    }


def _etcd() -> Sequence[str]:
    return (
        "etcd",
        "--data-dir=/var/lib/etcd/data",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        # What is lost here is a process, never this machine.
        "--unsafe-no-fsync",
    )


def _api_server(keys: Path) -> Sequence[str]:
    return (
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--bind-address={network.address(1)}",
        f"--advertise-address={network.address(1)}",
        f"--service-cluster-ip-range={network.SERVICES}",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/admin.crt",
        f"--kubelet-client-key={keys}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={keys}/service-accounts.crt",
        f"--service-account-signing-key-file={keys}/service-accounts.key",
        f"--service-account-issuer={_SERVICE_ACCOUNTS}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--audit-policy-file={keys}/audit.yaml",
        f"--audit-log-path={audit_log(keys)}",
    )


def _controller_manager(keys: Path) -> Sequence[str]:
    return (
        "kube-controller-manager",
        f"--kubeconfig={keys}/controller-manager.kubeconfig",
        f"--root-ca-file={keys}/ca.crt",
        f"--service-account-private-key-file={keys}/service-accounts.key",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
        # A dead node is noticed in seconds here, not in the usual minute.
        "--node-monitor-period=2s",
        "--node-monitor-grace-period=20s",
    )
