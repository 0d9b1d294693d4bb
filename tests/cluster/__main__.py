"""`python -m tests.cluster`: a cluster to look around in, by hand."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.cluster import binaries, images
from tests.cluster.cluster import Cluster, ClusterFailed, prepare


def main() -> int:
    options = _read()
    cluster = Cluster(options.name)
    try:
        return _COMMANDS[options.command](cluster, options)
    except ClusterFailed as error:
        print(error, file=sys.stderr)
        return 1


def _build(cluster: Cluster, options: argparse.Namespace) -> int:
    prepare()
    return 0


def _up(cluster: Cluster, options: argparse.Namespace) -> int:
    began = time.monotonic()
    try:
        cluster.up(options.nodes)
        for image in (images.debian(), images.etcd()):
            cluster.load_image(image)
    except BaseException:
        if not options.keep:
            cluster.down()
        raise
    print(f"{options.nodes} node(s) ready after {time.monotonic() - began:.0f} s")
    print(f"kubectl: {sys.executable} -m tests.cluster --name {cluster.name} kubectl get pods -A")
    return 0


def _down(cluster: Cluster, options: argparse.Namespace) -> int:
    cluster.down()
    return 0


def _status(cluster: Cluster, options: argparse.Namespace) -> int:
    if not cluster.is_up:
        print(f"{cluster.name} is not up")
        return 1
    for node in cluster.nodes:
        state = "" if node.machine.is_on() else "  (off)"
        print(f"{node.name}  {node.address}  {node.machine.folder}{state}")
        for component in node.commands():
            pid = node.machine.pid_of(component)
            print(f"  {component:20} {'-' if pid is None else pid}")
    return 0


def _kubectl(cluster: Cluster, options: argparse.Namespace) -> int:
    words = cluster.kubectl_command(*options.words)
    os.execvpe(words[0], words, binaries.environment())


def _enter(cluster: Cluster, options: argparse.Namespace) -> int:
    node = next(each for each in cluster.nodes if each.name == options.node)
    words = node.machine.inside(options.words or ["bash"])
    os.execvpe(words[0], words, binaries.environment() | {"TERM": os.environ.get("TERM", "dumb")})


def _load(cluster: Cluster, options: argparse.Namespace) -> int:
    cluster.load_image(options.tar)
    return 0


def _restart(cluster: Cluster, options: argparse.Namespace) -> int:
    cluster.restart(options.component, options.node)
    return 0


def _gather(cluster: Cluster, options: argparse.Namespace) -> int:
    print(cluster.gather(options.folder))
    return 0


_COMMANDS = {
    "build": _build,
    "up": _up,
    "down": _down,
    "status": _status,
    "kubectl": _kubectl,
    "enter": _enter,
    "load-image": _load,
    "restart": _restart,
    "logs": _gather,
}


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    name = os.environ.get("MMSNAP_CLUSTER", "mmsnap")
    parser.add_argument("--name", default=name, help="which one (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build what is not there yet, and no more")
    up = commands.add_parser("up", help="bring it up anew")
    up.add_argument("--nodes", type=int, choices=(1, 2, 3), default=1)
    up.add_argument("--keep", action="store_true", help="leave what is there when it fails")
    commands.add_parser("down", help="end it, and remove all of it")
    commands.add_parser("status", help="nodes, components and their process ids")
    kubectl = commands.add_parser("kubectl", help="as the administrator")
    kubectl.add_argument("words", nargs=argparse.REMAINDER)
    enter = commands.add_parser("enter", help="a shell or a command on a node")
    enter.add_argument("node", help="node1, …")
    enter.add_argument("words", nargs=argparse.REMAINDER)
    load = commands.add_parser("load-image", help="give every node the images of an archive")
    load.add_argument("tar", type=Path)
    restart = commands.add_parser("restart", help="kill a component and start it again")
    restart.add_argument("component")
    restart.add_argument("--node", type=int, default=1)
    logs = commands.add_parser("logs", help="gather everything that tells what happened")
    logs.add_argument("folder", type=Path, nargs="?")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
