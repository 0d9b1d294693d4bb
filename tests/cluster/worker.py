"""What makes a machine a node: containerd, the kubelet and kube-proxy, and their settings.

Pods are wired point to point: whatever they send passes the node's own tables, where services are
translated, also between two pods of one node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.cluster import network
from tests.cluster.machine import Machine

PAUSE_IMAGE: Final = "localhost/pause:1"
CONTAINERD: Final = "/run/containerd/containerd.sock"

# Without CAP_SYS_RESOURCE nobody may lower a score of the OOM killer, hence the restriction.
_CONTAINERD: Final = """version = 3
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{cni}"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "{runc}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause_image}"
"""


def configure(machine: Machine, number: int, keys: Path, bins: Mapping[str, Path]) -> None:
    """Writes the settings of all three; not under a running kube-proxy, which ends then."""
    etc = machine.folder / "disk/etc"
    (etc / "cni/net.d").mkdir(parents=True, exist_ok=True)
    (etc / "kubernetes").mkdir(parents=True, exist_ok=True)
    containerd = _CONTAINERD.format(
        cni=bins["cni"], runc=bins["runc"] / "runc", pause_image=PAUSE_IMAGE
    )
    (etc / "kubernetes/containerd.toml").write_text(containerd)
    _write(etc / "cni/net.d/10-pods.conflist", _pod_network(number))
    _write(etc / "kubernetes/kubelet.json", _kubelet(machine.name, number, keys))
    _write(etc / "kubernetes/proxy.json", _proxy(machine.name, number, keys))


def commands(name: str, number: int, keys: Path) -> Mapping[str, Sequence[str]]:
    """The words that start each component, in the order in which they start."""
    return {
        "containerd": ("containerd", "--config=/etc/kubernetes/containerd.toml"),
        "kubelet": (
            "kubelet",
            "--config=/etc/kubernetes/kubelet.json",
            f"--kubeconfig={keys}/{name}.kubeconfig",
            f"--node-ip={network.address(number)}",
            f"--hostname-override={name}",
        ),
        "proxy": ("kube-proxy", "--config=/etc/kubernetes/proxy.json"),
    }


def _pod_network(number: int) -> dict[str, object]:
    ranges = [[{"subnet": network.pods(number)}]]
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": ranges,
                    "dataDir": "/run/cni",
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(name: str, number: int, keys: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.address(number),
        "authentication": {"x509": {"clientCAFile": f"{keys}/ca.crt"}},
        "tlsCertFile": f"{keys}/{name}.crt",
        "tlsPrivateKeyFile": f"{keys}/{name}.key",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "clusterDNS": [network.address(1)],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        # Faults are noticed in seconds here, not in the usual minutes.
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 12,
        "syncFrequency": "10s",
        # The disk is this machine's, and what else fills it is not the cluster's business.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }


def _proxy(name: str, number: int, keys: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": network.PODS,
        "clientConnection": {"kubeconfig": f"{keys}/proxy.kubeconfig"},
        "hostnameOverride": name,
        "bindAddress": network.address(number),
        # These are settings of the whole kernel, and are left as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _write(file: Path, settings: dict[str, object]) -> None:
    file.write_text(json.dumps(settings, indent=1))
