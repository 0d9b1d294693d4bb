"""Agents are asked one by one, and nobody's question ends as certificates are renewed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from mmsnap.errors import AgentUnavailableError
from mmsnap.rpc.failures import status_of
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from mmsnap.rpc.v1 import mmsnap_pb2_grpc
from mmsnap_operator.certificates import Pair, Subject, issue, new_authority
from mmsnap_operator.cluster import Kind, kinds
from mmsnap_operator.service import Agents

Manifest = dict[str, Any]

AUTHORITY = new_authority(datetime.now(UTC))
LOOPBACK = Subject("agent", addresses=["127.0.0.1"])
HELD_SECONDS = 20.0


def issued() -> Pair:
    return issue(AUTHORITY, LOOPBACK, datetime.now(UTC))


class Agent(mmsnap_pb2_grpc.AgentServicer):  # type: ignore[misc]
    """An agent over mutual TLS that lists nodes when it is let, or says what is wrong with another.

    Attributes:
        asked: how often.
        wrong: what it says instead.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.changed = asyncio.Condition()
        self.let = asyncio.Event()
        self.wrong: AgentUnavailableError | None = None

    async def start(self) -> None:
        pair = issued()
        shown = grpc.ssl_server_credentials(
            [(pair.key, pair.certificate)], AUTHORITY.certificate, require_client_auth=True
        )
        self._server = grpc.aio.server()
        mmsnap_pb2_grpc.add_AgentServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_secure_port("127.0.0.1:0", shown)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def ListNodes(  # noqa: N802
        self, request: pb.ListNodesRequest, context: Any
    ) -> pb.ListNodesResponse:
        async with self.changed:
            self.asked += 1
            self.changed.notify_all()
        if self.wrong is not None:
            await context.abort_with_status(rpc_status.to_status(status_of(self.wrong)))
        await self.let.wait()
        return pb.ListNodesResponse(nodes=[pb.Node(name=f"n{self.port}")])

    @property
    def pod(self) -> Manifest:
        args = [f"--listen=$(HOST_IP):{self.port}"]
        ready = {"type": "Ready", "status": "True"}
        return {
            "metadata": {"name": f"agent-{self.port}"},
            "spec": {"nodeName": f"n{self.port}", "containers": [{"args": args}]},
            "status": {"hostIP": "127.0.0.1", "conditions": [ready]},
        }


class Server:
    """An API server that has the agents' pods and the operator's certificate."""

    def __init__(self, *agents: Agent) -> None:
        self.pods = [agent.pod for agent in agents]
        self.renew()

    def renew(self) -> None:
        pair = issued()
        names = {
            "ca.crt": AUTHORITY.certificate, "tls.crt": pair.certificate, "tls.key": pair.key
        }  # fmt: skip
        self.secret = {"data": {name: base64.b64encode(pem) for name, pem in names.items()}}

    async def get(self, kind: Kind, name: str, namespace: str) -> Manifest:
        await asyncio.sleep(0)
        return self.secret

    async def list(self, kind: Kind, namespace: str, labels: object) -> list[Manifest]:
        assert kind == kinds.POD
        await asyncio.sleep(0)
        return self.pods


Work = Callable[[Agents, Server, list[Agent]], Awaitable[None]]


def among(count: int, work: Work) -> None:
    """With so many agents, and an operator that asks them."""

    async def run() -> None:
        running = [Agent() for _ in range(count)]
        for agent in running:
            await agent.start()
        server: Any = Server(*running)
        agents = Agents(server, "memverge")
        try:
            async with asyncio.timeout(HELD_SECONDS):
                await work(agents, server, running)
        finally:
            await agents.close()
            for agent in running:
                await agent.stop()

    asyncio.run(run())


async def asked(agents: Agents) -> str:
    (node,) = await agents.ask(lambda client: client.nodes())
    return node.name


async def until_asked(agent: Agent, times: int) -> None:
    async with agent.changed:
        await agent.changed.wait_for(lambda: agent.asked == times)


def test_a_certificate_that_is_renewed_ends_no_question_that_is_under_way() -> None:
    """gRPC would cancel it, and whoever asks would end without a word as if he were to."""

    async def work(agents: Agents, server: Server, running: list[Agent]) -> None:
        (agent,) = running
        first = asyncio.create_task(asked(agents))
        await until_asked(agent, 1)
        server.renew()
        agents._looked = float("-inf")
        others = [asyncio.create_task(asked(agents)) for _ in range(3)]
        await until_asked(agent, 4)
        agent.let.set()
        names = await asyncio.gather(first, *others)
        assert set(names) == {f"n{agent.port}"}

    among(1, work)


def test_an_agent_that_is_gone_is_passed_over_and_its_place_kept_in_mind() -> None:
    async def work(agents: Agents, server: Server, running: list[Agent]) -> None:
        gone, there = sorted(running, key=lambda agent: f"n{agent.port}")
        there.let.set()
        await gone.stop()
        assert await asked(agents) == f"n{there.port}"
        assert await asked(agents) == f"n{there.port}"
        assert gone.asked == 0

    among(2, work)


def test_what_an_agent_says_of_another_node_is_not_asked_of_all_the_others() -> None:
    """Each would wait for the same node as long as the first did, and begin the work once more."""

    async def work(agents: Agents, server: Server, running: list[Agent]) -> None:
        for agent in running:
            agent.wrong = AgentUnavailableError("node n3 sends nothing", subject="n3")
        with pytest.raises(AgentUnavailableError, match="n3"):
            await asked(agents)
        assert sum(agent.asked for agent in running) == 1

    among(3, work)


def test_a_client_that_somebody_closes_says_so_and_does_not_end_who_asked() -> None:
    async def work(agents: Agents, server: Server, running: list[Agent]) -> None:
        (agent,) = running
        agent.let.set()
        await asked(agents)
        agent.let.clear()
        (client,) = agents._clients.values()
        asking = asyncio.create_task(client.nodes())
        await until_asked(agent, 2)
        await client.close()
        with pytest.raises(AgentUnavailableError, match="was closed"):
            await asking

    among(1, work)


def test_who_is_cancelled_himself_ends() -> None:
    async def work(agents: Agents, server: Server, running: list[Agent]) -> None:
        (agent,) = running
        asking = asyncio.create_task(asked(agents))
        await until_asked(agent, 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asked(agents)

    among(1, work)
