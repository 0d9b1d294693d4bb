"""`mmsnap agent --pods`: the node service, with what a node of Kubernetes needs beside it."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmsnap.node.agent import Agent
from mmsnap.pods.driver import Driver
from mmsnap.pods.nri.plugin import DEFAULT_SOCKET, NriPlugin
from mmsnap.pods.residents import Residents
from mmsnap.pods.tools import ENTER, put_out
from mmsnap.pods.volume import Volumes
from mmsnap.process.installation import installed_root

log = logging.getLogger(__name__)

_TOOLS: Final = "tools"


@dataclass(frozen=True, slots=True)
class NodeOfPods:
    """Where a node of Kubernetes has what.

    Attributes:
        name: the node's.
        kubelet: the kubelet's folder.
        programs: a folder with mmsnap-enter.
        nri: the socket of the container runtime for its plugins.
    """

    name: str
    kubelet: Path
    programs: Path
    nri: Path = DEFAULT_SOCKET


def _start_plugin(socket: Path) -> None:
    """The runtime's plugin, on a thread of its own: no container is to wait for anything else."""
    plugin = NriPlugin(socket)
    threading.Thread(target=lambda: asyncio.run(plugin.run()), name="nri", daemon=True).start()


async def serve_pods(agent: Agent, node: NodeOfPods) -> None:
    """Serve until SIGTERM or SIGINT; what `Agent.start` raises."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.end)
    await agent.start()
    tools = await asyncio.to_thread(
        put_out, installed_root(), node.programs / ENTER, agent.pool / _TOOLS
    )
    residents = Residents(agent, Volumes(agent.pool, tools))
    await residents.return_home()
    driver = Driver(residents, node.name, node.kubelet)
    await driver.start()
    _start_plugin(node.nri)
    await agent.serve()
    log.info("stopping")
    await driver.stop()
    await residents.close()
    await agent.stop()
