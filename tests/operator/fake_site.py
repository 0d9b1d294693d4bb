"""An API server and agents in memory, which answer, refuse and are silent as a test wants it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from mmsnap.errors import AgentUnavailableError, NotFoundError
from mmsnap_operator.cluster import Api, ApiError, Kind, kinds
from mmsnap_operator.cluster.kinds import kind_of
from mmsnap_operator.requests.site import Site
from mmsnap_operator.requests.turns import Turns
from mmsnap_operator.service import Agents
from mmsnap_sdk.service_records import GroupCheckpoint, GroupMemberCheckpoint
from tests.operator.request_samples import captured_pod, member, request, stateful_set, taken

Manifest = dict[str, Any]


class FakeApi:
    """The verbs of `Api` over a dictionary.

    Attributes:
        refusals: what a verb and a kind, like "create Checkpoint", is answered with.
        patched: every status that was written, in order.
    """

    def __init__(self, *objects: Manifest) -> None:
        self.objects: dict[tuple[str, str, str], Manifest] = {}
        self.refusals: dict[str, ApiError] = {}
        self.patched: list[Manifest] = []
        for one in objects:
            self.add(one)

    def add(self, manifest: Manifest, kind: str = "") -> Manifest:
        metadata = manifest["metadata"]
        stored = copy.deepcopy(manifest)
        stored["metadata"] = {"uid": "u", "resourceVersion": "1", "generation": 1, **metadata}
        key = kind or manifest["kind"], metadata.get("namespace", ""), metadata["name"]
        self.objects[key] = stored
        return copy.deepcopy(stored)

    def named(self, kind: Kind, name: str, namespace: str = "demo") -> Manifest:
        return self.objects[kind.name, namespace, name]

    def all(self, kind: Kind) -> list[Manifest]:
        return [one for (of, _, _), one in self.objects.items() if of == kind.name]

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        self._refuse("get", kind)
        found = self.objects.get((kind.name, namespace, name))
        return copy.deepcopy(found)

    async def list(
        self, kind: Kind, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        self._refuse("list", kind)
        found = [
            one
            for (of, where, _), one in self.objects.items()
            if of == kind.name and namespace in ("", where)
        ]
        return copy.deepcopy(found)

    async def create(self, manifest: Manifest) -> Manifest:
        kind = kind_of(manifest)
        self._refuse("create", kind)
        if kind == kinds.EVENT:
            return manifest
        return self.add(manifest)

    async def apply(self, manifest: Manifest) -> Manifest:
        return self.add(manifest)

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Manifest, part: str = ""
    ) -> Manifest:
        self._refuse("patch", kind)
        found = self.objects.get((kind.name, namespace, name))
        if found is None:
            raise ApiError(404, "gone")
        for field, value in patch.items():
            found[field] = {**found.get(field, {}), **copy.deepcopy(value)}
        if part:
            self.patched.append(copy.deepcopy(patch["status"]))
        return copy.deepcopy(found)

    async def delete(self, kind: Kind, name: str, namespace: str = "") -> bool:
        return self.objects.pop((kind.name, namespace, name), None) is not None

    def _refuse(self, verb: str, kind: Kind) -> None:
        refusal = self.refusals.get(f"{verb} {kind.name}")
        if refusal is not None:
            raise refusal


class FakeAgents:
    """`Agents` and the client of the one that answers.

    Attributes:
        catalog: the checkpoints, by group and epoch.
        away: nobody answers.
        attached: the members of the group demo--hz.
        on_take: what a cut does, instead of being made.
        on_wait: what waiting for copies gives.
    """

    def __init__(self) -> None:
        self.catalog: dict[tuple[str, int], GroupCheckpoint] = {}
        self.away = False
        self.attached = ["hz-0", "hz-1"]
        self.takes = 0
        self.on_take: Callable[[str], Awaitable[GroupCheckpoint]] | None = None
        self.on_find: Callable[[], None] | None = None
        self.on_wait: Callable[[GroupCheckpoint], GroupCheckpoint] = lambda one: one
        self.kept: set[int] = set()

    async def ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        if self.away:
            raise AgentUnavailableError("no agent is ready")
        return await work(self)

    async def once(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await self.ask(work)

    # ---- as a client ----

    async def find(self, group: str, name: str) -> GroupCheckpoint:
        if self.on_find is not None:
            self.on_find()
        for one in self.catalog.values():
            if one.group == group and name in (one.name, f"@{one.epoch}"):
                return one
        raise NotFoundError(f"group {group} has no checkpoint {name}")

    async def checkpoints(self, group: str | None = None) -> list[GroupCheckpoint]:
        return [one for one in self.catalog.values() if group in (None, one.group)]

    async def members(self, group: str) -> list[Any]:
        return [member(name) for name in self.attached]

    async def checkpoint(self, group: str, name: str, **_: Any) -> GroupCheckpoint:
        self.takes += 1
        if self.on_take is not None:
            return await self.on_take(name)
        return self.commit(name)

    async def pin(self, group: str, name: str) -> None:
        await self._set_pin(group, name, True)

    async def unpin(self, group: str, name: str) -> None:
        await self._set_pin(group, name, False)

    async def delete_checkpoint(self, group: str, name: str) -> None:
        found = await self.find(group, name)
        if found.epoch in self.kept:
            raise ValueError("it is what a restart would show")
        if found.pinned:
            raise ValueError("it is pinned")
        del self.catalog[group, found.epoch]

    # `ask` of a client is given a call, and of `Agents` some work: only copies are waited for so.
    def waited(self, call: Any) -> GroupCheckpoint:
        epoch = int(call.request.checkpoint.removeprefix("@"))
        found = self.catalog.get((call.request.group, epoch))
        if found is None:
            raise NotFoundError("it is gone")
        return self.on_wait(found)

    async def _set_pin(self, group: str, name: str, pinned: bool) -> None:
        found = await self.find(group, name)
        self.catalog[group, found.epoch] = replace(found, pinned=pinned)

    def commit(self, name: str, **changed: Any) -> GroupCheckpoint:
        members = tuple(
            GroupMemberCheckpoint(one, 1, 0, 1, engine="memory", node="n1", copies=("n1",))
            for one in self.attached
        )
        made = taken(
            **{"name": name, "epoch": 41 + len(self.catalog), "members": members} | changed
        )
        self.catalog[made.group, made.epoch] = made
        return made


class WaitingAgents(FakeAgents):
    """The same, whose client is asked with calls."""

    async def ask(self, work: Any) -> Any:
        if hasattr(work, "method"):
            return self.waited(work)
        return await super().ask(work)


def site_of(api: FakeApi, agents: FakeAgents) -> Site:
    return Site(cast("Api", api), cast("Agents", agents), Turns(cast("Api", api)))


def demo_cluster(**spec: Any) -> FakeApi:
    """The set hz of two pods, and a request for it that asks for this."""
    source = {"source": {"kind": "StatefulSet", "name": "hz"}, "deletionPolicy": "Delete"}
    api = FakeApi(stateful_set(), request(**{**source, **spec}))
    api.add({"kind": "Namespace", "metadata": {"name": "demo"}})
    for name in ("hz-0", "hz-1"):
        api.add(captured_pod(name), "Pod")
    return api


def begun(seconds_ago: float = 0, reason: str = "Preparing", **more: Any) -> Manifest:
    """The status of a request that has begun."""
    since = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    complete = {
        "type": "Complete",
        "status": "False",
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-11-23T10:15:02Z",
    }
    return {
        "group": "demo--hz",
        "workload": "StatefulSet/hz",
        "startTime": since.isoformat(),
        "conditions": [complete],
        **more,
    }


async def soon(is_so: Callable[[], bool], seconds: float = 2) -> None:
    """Until it is so."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
