"""`mmsnap agent`: the service of this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsnap.cli.options import Address

if TYPE_CHECKING:
    from mmsnap.node.cluster import Cluster


class LogFormat(StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From where on lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def agent(
    pool: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder in which regions and checkpoints are.")
    ],
    address: Address = None,
    node: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name among the nodes of a cluster.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where to serve the other nodes and clients."),
    ] = None,
    advertise: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where the others reach it; by default --listen."),
    ] = None,
    link_port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Where at the same host the other nodes' orders come in; 0: any that is free.",
        ),
    ] = 0,
    etcd: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="An endpoint of etcd, which keeps the catalog; repeat."),
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder with ca.crt, and tls.crt and tls.key or those of each NODE.",
        ),
    ] = None,
    etcd_tls: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The same for etcd, if it wants it.")
    ] = None,
    roles: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What clients may do, by the name in their certificate."),
    ] = None,
    replicas: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Copies on other nodes that every checkpoint is to have."
        ),
    ] = 0,
    fence_command: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Shuts a node off, whose name is added; ending with 0 proves that it is down.",
        ),
    ] = None,
    pods: Annotated[
        bool,
        typer.Option("--pods", help="Serve the pods of this node of Kubernetes, too."),
    ] = False,
    kubelet: Annotated[
        Path, typer.Option(metavar="DIR", help="The kubelet's folder, for --pods.")
    ] = Path("/var/lib/kubelet"),
    programs: Annotated[
        Path, typer.Option(metavar="DIR", help="Where mmsnap-enter is, for --pods.")
    ] = Path("/opt/mmsnap"),
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Where to serve metrics for Prometheus; by default on 127.0.0.1.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="Lines for people, or a JSON object each.")
    ] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel, typer.Option(help="What is not worth less is written.")
    ] = LogLevel.INFO,
) -> None:
    """Serve this machine's groups, with their regions in a pool.

    It listens on a Unix socket that only you and root can open, by default
    /run/mmsnap/agent.sock, or agent.sock in your runtime folder when you are not root. It ends on
    SIGTERM and Ctrl-C; members run on without it and attach again when it is back. A pool on
    /dev/shm is quick, and gone when the machine restarts.

    With --node it is one of several: groups may have members on all of them, and are checkpointed
    together by whichever is asked. They keep their catalog in etcd and speak over mutual TLS, each
    with a certificate for its name. Clients reach it over TLS too, and may do what --roles says.

    With --pods it is the CSI driver mmsnap.memverge.com of its node as well: a pod with such a
    volume finds a socket of its own there, through which it may only touch its own group.

    Metrics are plain HTTP, open to whoever reaches the port; they have no names in them.

    \b
    Examples:
        mkdir /dev/shm/pool
        mmsnap agent --pool /dev/shm/pool
        mmsnap agent --pool /dev/shm/pool --node n1 --listen 10.0.0.1:7443 --tls /etc/mmsnap/tls \\
            --etcd http://10.0.0.1:2379 --etcd http://10.0.0.2:2379
    """
    import asyncio
    import dataclasses
    import os
    import shlex

    if log_format is LogFormat.JSON:
        # What gRPC's own code writes to stderr is not JSON; it reads this when it is loaded.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from mmsnap.node.agent import Agent, run
    from mmsnap.node.logs import log_to_stderr

    cluster = _cluster(node, listen, advertise, etcd, tls, etcd_tls, roles)
    if cluster is not None:
        fencing = tuple(shlex.split(fence_command or ""))
        cluster = dataclasses.replace(
            cluster, replicas=replicas, fence_command=fencing, link_port=link_port
        )
    elif replicas or fence_command or link_port:
        raise typer.BadParameter("only a node of several has others", param_hint="--node")

    metrics_at = None
    if metrics is not None:
        like = "9464 or 10.0.0.1:9464"
        metrics_at = _host_and_port(metrics, "--metrics", like, default="127.0.0.1")
    log_to_stderr(
        as_json=log_format is LogFormat.JSON, node=node or "", level=log_level.value.upper()
    )
    service = Agent(pool, address, cluster, metrics_at)
    if not pods:
        asyncio.run(run(service))
        return
    if node is None:
        raise typer.BadParameter("the kubelet wants to know it", param_hint="--node")
    from mmsnap.pods.serving import NodeOfPods, serve_pods

    asyncio.run(serve_pods(service, NodeOfPods(node, kubelet, programs)))


def _host_and_port(text: str, option: str, like: str, default: str = "") -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or default
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise typer.BadParameter(f"{text!r} is not like {like}", param_hint=option)
    return host, int(port)


def _place(text: str, option: str) -> str:
    """HOST:PORT, also where somebody put an IPv6 address and a port together without brackets."""
    host, port = _host_and_port(text, option, "10.0.0.1:7443")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cluster(
    node: str | None,
    listen: str | None,
    advertise: str | None,
    etcd: list[str] | None,
    tls: Path | None,
    etcd_tls: Path | None,
    roles: Path | None,
) -> Cluster | None:
    wanted = {"--node": node, "--listen": listen, "--etcd": etcd, "--tls": tls}
    if not any((*wanted.values(), advertise, etcd_tls, roles)):
        return None
    for option, value in wanted.items():
        if not value:
            raise typer.BadParameter("a node of several needs it", param_hint=option)
    from mmsnap.catalog.endpoints import parse_endpoint
    from mmsnap.node.bounds import check_node
    from mmsnap.node.cluster import Cluster
    from mmsnap.node.tls import TlsFiles

    assert node is not None
    assert listen is not None
    assert tls is not None
    try:
        check_node(node)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--node") from error
    try:
        for url in etcd or ():
            parse_endpoint(url)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--etcd") from error

    return Cluster(
        node=node,
        listen=_place(listen, "--listen"),
        advertise=_place(advertise or listen, "--advertise"),
        etcd=tuple(etcd or ()),
        tls=TlsFiles.of_node(tls, node),
        etcd_tls=None if etcd_tls is None else TlsFiles.of_node(etcd_tls, node),
        roles=roles,
    )
