"""The node service as a process: its parts put together, started and stopped.

What `mmsnap agent` runs. The order matters: the pool's lock before the catalog,
the members' socket before the first Attach, the last call before the last line.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mmsnap import store
from mmsnap.catalog import Catalog, SqliteCatalog
from mmsnap.errors import InUseError, NotFoundError
from mmsnap.group.messages import Failed, Hello
from mmsnap.memory import make_pool
from mmsnap.node import copies
from mmsnap.node.callers import Callers, MachineCallers
from mmsnap.node.cluster import Cluster
from mmsnap.node.desk import Desk
from mmsnap.node.events import Events
from mmsnap.node.groups import Groups
from mmsnap.node.ledger import Ledger
from mmsnap.node.leftovers import look_for_leftovers
from mmsnap.node.link_door import LinkDoor
from mmsnap.node.mesh import Mesh
from mmsnap.node.mirror import Mirror
from mmsnap.node.mirroring import Mirroring
from mmsnap.node.peer_service import PeerService
from mmsnap.node.pool_lock import PoolLock
from mmsnap.node.ports import add_port
from mmsnap.node.replicas import Replicas
from mmsnap.node.roles import Roles
from mmsnap.node.schedules import Schedules
from mmsnap.node.scraping import MembersNow, MetricsServer
from mmsnap.node.service import AgentService
from mmsnap.node.sweep import Sweeper
from mmsnap.node.switchboard import Switchboard
from mmsnap.rpc.addresses import default_address, members_path, socket_path
from mmsnap.rpc.v1 import mmsnap_pb2, mmsnap_pb2_grpc, peer_pb2_grpc

log = logging.getLogger(__name__)

CATALOG_FILE: Final = "catalog.db"
SERVICE_NAME: Final = mmsnap_pb2.DESCRIPTOR.services_by_name["Agent"].full_name
# The switchboard's thread gets the interpreter from a busy one within this time
# (5 ms by default, which would be most of a pause).
_SWITCH_INTERVAL_SECONDS: Final = 0.0001
_GRACE_SECONDS: Final = 2.0
# At a time, through a door that is not the machine's own.
_DOOR_CALLS_MAX: Final = 64
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.so_reuseport", 0),
    # Callers ask more often than every five minutes whether it is there, in a call that takes long.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class _Bridge:
    """Carries what the switchboard's thread tells to the event loop."""

    loop: asyncio.AbstractEventLoop
    groups: list[Groups]  # filled once they are made
    end: Callable[[Exception | None], None]

    def greeted(self, token: int, hello: Hello, pid: int) -> None:
        self.loop.call_soon_threadsafe(self.groups[0].greeted, token, hello, pid)

    def ended(self, token: int, said_bye: bool, reason: str, epoch: int) -> None:
        self.loop.call_soon_threadsafe(self.groups[0].ended, token, said_bye, reason, epoch)

    def failed(self, token: int, report: Failed) -> None:
        self.loop.call_soon_threadsafe(self.groups[0].failed, token, report)

    def broke(self, error: Exception) -> None:
        self.loop.call_soon_threadsafe(self.end, error)


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """Another socket of the service, see `Agent.open_door`."""

    path: Path
    server: grpc.aio.Server


class Agent:
    """A running node service. `start`, then `stop`; of one event loop."""

    def __init__(
        self,
        pool: Path,
        address: str | None = None,
        cluster: Cluster | None = None,
        metrics_at: tuple[str, int] | None = None,
    ) -> None:
        """Make it; nothing happens yet.

        Args:
            cluster: what it takes to be one node of several.
            metrics_at: host and port where Prometheus asks for the metrics; None: nowhere.
        """
        self.pool = pool.absolute()
        self._cluster = cluster
        self._metrics_at = metrics_at
        self.address = address or default_address()
        self._socket = socket_path(self.address)
        self._ending = asyncio.Event()
        self._error: Exception | None = None

    async def start(self) -> None:
        """Serve.

        Raises:
            NotFoundError: the pool's folder is not there.
            InUseError: the pool or the address has a service already, the port is taken.
            UnsupportedError: calls, links or metrics can not be served where they should.
        """
        if not self.pool.is_dir():
            raise NotFoundError(
                f"there is no pool {self.pool}",
                subject=str(self.pool),
                hint="make the folder first",
            )
        self._lock = PoolLock(self.pool)
        make_pool(self.pool)
        copies.forget_interrupted(self.pool)
        store.forget_interrupted(self.pool)
        _make_room(self._socket)
        sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
        catalog: Catalog
        if self._cluster is None:
            catalog = SqliteCatalog(self.pool / CATALOG_FILE)
        else:
            catalog = self._cluster.catalog()
        self._ledger = Ledger(catalog, watched=self._cluster is not None)
        groups: list[Groups] = []
        bridge = _Bridge(asyncio.get_running_loop(), groups, self.end)
        self._switchboard = Switchboard(members_path(self._socket), bridge)
        self._mesh: Mesh | None = None
        if self._cluster is not None:
            self._mesh = self._cluster.mesh(self._ledger, self._switchboard)
        self._replicas: Replicas | None = None
        if self._cluster is not None and self._mesh is not None:
            self._replicas = Replicas(self.pool, self._mesh, Ledger(self._cluster.catalog()))
        desk = Desk(
            self.pool, self._ledger, self._switchboard, Events(), self._mesh, self._replicas
        )
        if self._mesh is not None:
            desk = replace(desk, mirror=Mirror(self.pool, self._mesh.name))
        self._groups = Groups(desk)
        self._mirroring: Mirroring | None = None
        if self._cluster is not None and desk.mirror is not None:
            source = self._cluster.mirror_source()
            self._mirroring = Mirroring(self._groups, desk.mirror, source)
        groups.append(self._groups)
        self._sweeper = Sweeper(self._groups)
        if self._cluster is None:
            self._schedules = Schedules(self._groups)
        else:
            own = Ledger(self._cluster.catalog())
            self._schedules = Schedules(self._groups, self._cluster.node, own)
        self._metrics: MetricsServer | None = None
        if self._metrics_at is not None:
            desk.metrics.look_at(self.pool, MembersNow(self._groups))
            if self._replicas is not None:
                desk.metrics.look_at_replicas(self._replicas.lag_seconds)
            self._metrics = MetricsServer(*self._metrics_at, desk.metrics)
        self._switchboard.start()
        self._links: LinkDoor | None = None
        if self._mirroring is not None:
            await self._mirroring.start()
        self._server = await self._listen()
        if self._mesh is not None and self._replicas is not None:
            await self._mesh.announce()
            await self._replicas.start()
            self._leftovers = asyncio.create_task(look_for_leftovers(self._groups, self._mesh))
        self._sweeper.start()
        self._schedules.start()
        log.info("serving the pool %s at %s", self.pool, self._socket)

    @property
    def groups(self) -> Groups:
        """What is served."""
        return self._groups

    async def open_door(self, path: Path, callers: Callers) -> OpenDoor:
        """Serve those who can reach another socket, too; what they may do, `callers` says.

        Raises:
            OSError: there can be no socket of that path.
        """
        self._switchboard.open_door(members_path(path))
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_DOOR_CALLS_MAX)
        service = AgentService(self._groups, callers, self._cluster)
        mmsnap_pb2_grpc.add_AgentServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        _add_socket(server, path, 0o666)
        await server.start()
        return OpenDoor(path, server)

    async def close_door(self, door: OpenDoor) -> None:
        """Let nobody in there any more."""
        self._switchboard.close_door(members_path(door.path))
        await door.server.stop(_GRACE_SECONDS)

    def end(self, error: Exception | None = None) -> None:
        """Let `serve` return, or raise what the service can not go on with."""
        self._error = self._error or error
        self._ending.set()

    async def serve(self) -> None:
        """Return when it is to end.

        What it raises leaves members held until the process ends, so it must, at once.
        """
        await self._ending.wait()
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        """End: no new calls, what is under way ends, members run on by themselves."""
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.stop)
        await self._schedules.stop()
        await self._server.stop(_GRACE_SECONDS)
        if self._links is not None:
            await self._links.close()
        await self._sweeper.stop()
        await self._groups.close()
        if self._mirroring is not None:
            await self._mirroring.close()
        self._switchboard.stop()
        if self._mesh is not None and self._replicas is not None:
            self._leftovers.cancel()
            await self._replicas.close()
            await self._mesh.close()
        self._ledger.close()
        self._lock.release()

    async def _listen(self) -> grpc.aio.Server:
        server = grpc.aio.server(options=_OPTIONS)
        if self._cluster is not None:
            add_port(server, self._cluster.listen, self._cluster.tls.server())
        roles = Roles(None if self._cluster is None else self._cluster.roles)
        callers = MachineCallers(roles, self.pool, self._switchboard.path)
        service = AgentService(self._groups, callers, self._cluster)
        mmsnap_pb2_grpc.add_AgentServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        alive = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(alive, server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        if self._cluster is not None:
            self._links = self._cluster.link_door()
            peers = PeerService(self._groups, self._sweeper, self._links)
            peer_pb2_grpc.add_PeerServicer_to_server(peers, server)  # type: ignore[no-untyped-call]
        _add_socket(server, self._socket, 0o600)
        await server.start()
        for name in ("", SERVICE_NAME):
            await alive.set(name, health_pb2.HealthCheckResponse.SERVING)
        return server


async def run(agent: Agent) -> None:
    """Serve until SIGTERM or SIGINT; what `Agent.start` raises."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.end)
    await agent.start()
    await agent.serve()
    log.info("stopping")
    await agent.stop()


def _add_socket(server: grpc.aio.Server, path: Path, mode: int) -> None:
    path.unlink(missing_ok=True)
    before = os.umask(0o177)  # nobody slips in before the mode is set
    try:
        server.add_insecure_port(f"unix:{path}")
    finally:
        os.umask(before)
    path.chmod(mode)


def _make_room(path: Path) -> None:
    """A folder of our own for the socket, and no dead socket in its place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise InUseError(
        f"a service answers at {path} already",
        subject=str(path),
        hint="stop it, or give another --address",
    )
