"""The fear: members of a node that only is silent come up a second time elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mmsnap.errors import AbortedError, AgentUnavailableError, InUseError, MmsnapError
from mmsnap_operator.cluster import Kind, kinds
from mmsnap_operator.lost_nodes import TAINT, LostNodes, shut_off
from mmsnap_sdk.service_records import Member, Node


def node(ready: str | None, *taints: str) -> dict[str, Any]:
    told = [] if ready is None else [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": "n1"},
        "spec": {"taints": [{"key": key, "effect": "NoExecute"} for key in taints]},
        "status": {"conditions": told},
    }


@pytest.mark.parametrize("ready", ["Unknown", "False", None])
def test_who_is_vouched_for_and_not_ready_is_shut_off(ready: str | None) -> None:
    assert shut_off([node(ready, "node.kubernetes.io/unreachable", TAINT)]) == {"n1"}


def test_who_is_only_silent_is_not() -> None:
    assert shut_off([node("Unknown", "node.kubernetes.io/unreachable"), node("Unknown")]) == set()


def test_who_is_ready_is_not_whatever_is_said_of_it() -> None:
    assert shut_off([node("True", TAINT)]) == set()


def test_nodes_without_taints() -> None:
    plain = node("Unknown")
    del plain["spec"]["taints"]
    assert shut_off([plain]) == set()


class Server:
    """An API server with a node that is shut off, which keeps the events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def list(self, kind: Kind, *_: Any) -> list[dict[str, Any]]:
        if kind == kinds.NODE:
            return [node("Unknown", TAINT)]
        about = {"name": "m", "namespace": "memverge", "uid": "u", "creationTimestamp": "2026"}
        return [{"metadata": about}]

    async def create(self, event: dict[str, Any]) -> dict[str, Any]:
        self.events.append(event["reason"])
        return event


class Agent:
    """What an agent knows of the node; `busy`: so many times it can not note all that is lost."""

    def __init__(self, busy: int = 0, wrong: MmsnapError | None = None) -> None:
        self.busy, self.wrong = busy, wrong
        self.down = False
        self.state: Any = "attached"
        self.told = 0

    async def ask(self, work: Any) -> Any:
        return await work(self)

    async def nodes(self) -> list[Node]:
        return [Node("n1", "10.0.0.1:7443", self.down)]

    async def members(self) -> list[Member]:
        more: Any = ("g.a", self.state, "rollback", None, 0, None)
        return [Member("g", "a", *more, node="n1")]

    async def declare_node_down(self, name: str, *, force: bool) -> None:
        self.told += 1
        if self.wrong is not None:
            raise self.wrong
        self.down = True
        if self.told <= self.busy:
            raise AbortedError("node n1 is down, but group g is busy")
        self.state = "lost"


def events(agent: Any, looks: int) -> list[str]:
    server: Any = Server()

    async def run() -> None:
        lost = LostNodes(server, agent, "memverge")
        for _ in range(looks):
            await lost._look()

    asyncio.run(run())
    found: list[str] = server.events
    return found


def test_a_node_that_is_down_is_told_of_again_until_all_that_it_lost_is_noted() -> None:
    """Else a group that was busy waits until a member of it comes back by itself."""
    agent = Agent(busy=2)
    assert events(agent, 5) == ["NodeLossesUnnoted", "NodeDown"]
    assert agent.told == 3


def test_a_node_that_answers_is_said_not_to_be_down_once() -> None:
    agent = Agent(wrong=InUseError("node n1 answers"))
    assert events(agent, 3) == ["NodeNotDown"]


def test_that_no_agent_is_ready_says_nothing_of_the_node() -> None:
    agent = Agent(wrong=AgentUnavailableError("no agent is ready"))
    with pytest.raises(AgentUnavailableError):
        events(agent, 1)
