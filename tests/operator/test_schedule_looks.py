"""One look at a schedule: what the agents and the API server are asked for, and what is told."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mmsnap.errors import AgentUnavailableError
from mmsnap_operator.cluster import ApiError, Kind, kinds
from mmsnap_operator.names import SCHEDULE_LABEL
from mmsnap_operator.schedules.keeping import MIRROR_SECONDS, is_from_agents, look
from mmsnap_sdk.service_records import Schedule

Manifest = dict[str, Any]

KEY = "demo.often"
GROUP = "demo--hz"


class Server:
    """An API server with objects that have versions, and that lets somebody in between."""

    def __init__(self, *there: tuple[Kind, Manifest]) -> None:
        self.there: dict[tuple[Kind, str], Manifest] = {}
        for kind, one in there:
            one["metadata"] |= {"namespace": "demo", "resourceVersion": "1"}
            self.there[kind, one["metadata"]["name"]] = one
        self.between: Any = None

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        return copy.deepcopy(self.there.get((kind, name)))

    async def list(self, kind: Kind, *_: Any) -> list[Manifest]:
        return [copy.deepcopy(one) for (known, _), one in self.there.items() if known == kind]

    async def create(self, manifest: Manifest) -> Manifest:
        return manifest

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Manifest, part: str = ""
    ) -> Manifest:
        if self.between is not None:
            self.between()
        one = self.there[kind, name]
        self._require(one, patch.get("metadata", {}).get("resourceVersion"))
        for place in ("spec", "status"):
            one[place] = {**one.get(place, {}), **patch.get(place, {})}
        self.change(one)
        return copy.deepcopy(one)

    async def delete(self, kind: Kind, name: str, namespace: str = "", version: str = "") -> bool:
        self._require(self.there[kind, name], version)
        return self.there.pop((kind, name), None) is not None

    def change(self, one: Manifest) -> None:
        one["metadata"]["resourceVersion"] = str(int(one["metadata"]["resourceVersion"]) + 1)

    def _require(self, one: Manifest, version: str | None) -> None:
        if version and version != one["metadata"]["resourceVersion"]:
            raise ApiError(409, "the object has been modified")


class Agent:
    """What an agent keeps; `away`: nobody answers."""

    def __init__(self) -> None:
        self.kept: dict[str, Schedule] = {}
        self.away = False

    async def ask(self, work: Any) -> Any:
        if self.away:
            raise AgentUnavailableError("no agent is ready")
        return await work(self)

    async def schedules(self, group: str | None = None) -> list[Schedule]:
        return [one for one in self.kept.values() if group in (None, one.group)]

    async def set_schedule(self, group: str, **wanted: Any) -> Schedule:
        told: Any = {
            "waiting": False, "node": "n1", "consecutive_failures": 0, "last_error": "",
            "last_checkpoint": "", "last_success": None,
        }  # fmt: skip
        self.kept[group] = Schedule(group=group, **wanted, **told)
        return self.kept[group]

    async def remove_schedule(self, group: str) -> None:
        del self.kept[group]

    async def checkpoints(self, group: str | None = None) -> list[Any]:
        return []


def schedule(**spec: Any) -> Manifest:
    source = {"kind": "StatefulSet", "name": "hz"}
    return {
        "metadata": {
            "name": "often",
            "uid": "u1",
            "generation": 1,
            "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        },
        "spec": {"template": {"spec": {"source": source}}, "suspend": True, **spec},
    }


def looked(server: Any, agent: Any) -> float:
    return asyncio.run(look(server, agent, "demo", "often"))


def ready(server: Server) -> Manifest:
    told: list[Manifest] = server.there[kinds.CHECKPOINT_SCHEDULE, "often"]["status"]["conditions"]
    return told[0]


def test_a_schedule_under_a_minute_is_set_with_the_agents_and_told_of() -> None:
    server, agent = Server((kinds.CHECKPOINT_SCHEDULE, schedule(interval="1s"))), Agent()
    looked(server, agent)
    kept = agent.kept[GROUP]
    assert (kept.every, kept.suspended) == (timedelta(seconds=1), True)
    assert kept.labels[SCHEDULE_LABEL] == KEY
    assert ready(server)["reason"] == "Suspended"
    del agent.kept[GROUP]
    looked(server, agent)
    assert GROUP in agent.kept, "set again behind whose back it was taken away"


def test_a_schedule_made_longer_while_no_agent_answers_is_taken_from_them_later() -> None:
    """Else they would keep the short one for ever, beside the long one."""
    one = schedule(interval="1s")
    server, agent = Server((kinds.CHECKPOINT_SCHEDULE, one)), Agent()
    looked(server, agent)
    one["spec"]["interval"] = "5m"
    one["metadata"]["generation"] = 2
    agent.away = True
    for _ in range(2):
        assert looked(server, agent) == MIRROR_SECONDS
        assert is_from_agents(server.there[kinds.CHECKPOINT_SCHEDULE, "often"])
    agent.away = False
    looked(server, agent)
    assert agent.kept == {}
    assert not is_from_agents(server.there[kinds.CHECKPOINT_SCHEDULE, "often"])
    agent.away = True
    assert looked(server, agent) > MIRROR_SECONDS, "they are asked no more"


@pytest.mark.parametrize(
    ("generation", "observed", "may"),
    [(1, None, False), (2, 1, True), (2, 2, False), (2, None, True)],
)
def test_who_may_keep_it_still_is_told_by_what_was_last_looked_at(
    generation: int, observed: int | None, may: bool
) -> None:
    one = schedule(interval="5m")
    one["metadata"]["generation"] = generation
    if observed is not None:
        one["status"] = {"conditions": [{"type": "Ready", "observedGeneration": observed}]}
    assert is_from_agents(one) == may


def checkpoint(epoch: int) -> Manifest:
    return {
        "metadata": {"name": f"c{epoch}", "creationTimestamp": "2026-06-01T12:00:00Z"},
        "spec": {"group": GROUP, "epoch": epoch},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


@pytest.mark.parametrize("pinned", [False, True])
def test_a_pin_that_is_set_while_it_is_let_go_keeps_it(pinned: bool) -> None:
    server = Server(
        (kinds.CHECKPOINT_SCHEDULE, schedule(interval="5m", retention={"keepLast": 1})),
        *((kinds.CHECKPOINT, checkpoint(epoch)) for epoch in (1, 2)),
    )
    oldest = server.there[kinds.CHECKPOINT, "c1"]

    def pin() -> None:
        if not oldest["spec"].get("pinned"):
            oldest["spec"]["pinned"] = True
            server.change(oldest)

    server.between = pin if pinned else None
    looked(server, Agent())
    assert ((kinds.CHECKPOINT, "c1") in server.there) == pinned
    assert oldest["spec"].get("deletionPolicy") == (None if pinned else "Delete")
    assert (kinds.CHECKPOINT, "c2") in server.there
    told = server.there[kinds.CHECKPOINT_SCHEDULE, "often"]["status"]
    assert told["checkpointCount"] == (2 if pinned else 1)
