"""A cluster in memory, for the order in which restores do things: a set, its pods, their group.

Pods come and go with the set's number at once, and are members as soon as they are there. An agent
restores at once when all programs are there, and waits for them otherwise.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmsnap.errors import NotFoundError
from mmsnap_operator.cluster import ApiError, Kind, kinds
from mmsnap_operator.cluster.kinds import kind_of
from mmsnap_operator.requests.site import Site
from mmsnap_operator.requests.turns import Turns
from mmsnap_operator.workloads.template import template_of
from mmsnap_sdk.service_records import GroupCheckpoint, Member
from tests.operator.request_samples import captured_pod, member, stateful_set, taken

Manifest = dict[str, Any]
GROUP = "demo--hz"


def merged(into: Manifest, patch: Mapping[str, Any]) -> Manifest:
    """As the API server merges a patch."""
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, Mapping):
            into[name] = merged(dict(into.get(name) or {}), value)
        else:
            into[name] = copy.deepcopy(value)
    return into


class FakeApi:
    """Objects by kind, namespace and name; `trouble` is raised by a verb of a kind."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Manifest] = {}
        self.trouble: dict[tuple[str, str], ApiError] = {}
        self.patches: list[tuple[str, Mapping[str, Any]]] = []

    def put(self, kind: Kind, made: Manifest) -> Manifest:
        metadata = made["metadata"]
        self.objects[kind.name, metadata.get("namespace", ""), metadata["name"]] = made
        return made

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        assert name
        self._fail("get", kind)
        return copy.deepcopy(self.objects.get((kind.name, namespace, name)))

    async def list(
        self, kind: Kind, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        self._fail("list", kind)
        if kind is kinds.POD:
            return self.pods()
        return [
            copy.deepcopy(one)
            for (of, where, _), one in self.objects.items()
            if of == kind.name and where == (namespace or where)
        ]

    async def create(self, manifest: Mapping[str, Any]) -> Manifest:
        kind = kind_of(manifest)
        self._fail("create", kind)
        if kind is kinds.EVENT:
            return dict(manifest)
        return self.put(kind, copy.deepcopy(dict(manifest)))

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Mapping[str, Any], part: str = ""
    ) -> Manifest:
        self._fail("patch", kind)
        found = self.objects.get((kind.name, namespace, name))
        if found is None:
            raise ApiError(404, f"there is no {kind.name} {name}")
        self.patches.append((kind.name, patch))
        return copy.deepcopy(merged(found, patch))

    def pods(self) -> Sequence[Manifest]:
        """Of the sets that are there, all ready."""
        found = []
        for (kind, _, name), one in self.objects.items():
            for number in range(one["spec"].get("replicas", 1) if kind == "StatefulSet" else 0):
                spec = one["spec"]["template"]["spec"]
                containers = ",".join(each["name"] for each in spec["containers"])
                pod = captured_pod(
                    f"{name}-{number}", owner=("StatefulSet", name), containers=containers
                )
                pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
                found.append(pod)
        return found

    def _fail(self, verb: str, kind: Kind) -> None:
        if (verb, kind.name) in self.trouble:
            raise self.trouble[verb, kind.name]


@dataclass
class Group:
    """What the catalog has of a group."""

    checkpoints: list[GroupCheckpoint]
    head: int
    restore_epoch: int = 0
    pending: int = 0


@dataclass
class FakeAgent:
    """A client of one agent.

    Attributes:
        calls: the names of what was asked.
        trouble: raised by calls of this name, one after the other.
        endless: the names of calls that are never answered; `stuck` then.
    """

    api: FakeApi
    groups: dict[str, Group]
    calls: list[str] = field(default_factory=list)
    trouble: dict[str, list[Exception]] = field(default_factory=dict)
    endless: set[str] = field(default_factory=set)
    stuck: asyncio.Event = field(default_factory=asyncio.Event)

    async def find(self, group: str, name: str = "latest") -> GroupCheckpoint:
        await self._called("find")
        known = self._known(group)
        self._settle(group)
        epoch = known.head if name == "latest" else int(name.removeprefix("@"))
        for one in known.checkpoints:
            if one.epoch == epoch:
                return replace(
                    one,
                    head=epoch == known.head,
                    pending=epoch == known.pending,
                    restore_epoch=known.restore_epoch,
                )
        raise NotFoundError(f"no {name}")

    async def checkpoints(self, group: str) -> list[GroupCheckpoint]:
        await self._called("checkpoints")
        return self._known(group).checkpoints

    async def members(self, group: str) -> list[Member]:
        await self._called("members")
        return [member(name) for name in self.attached(group)]

    async def nodes(self) -> list[Any]:
        return []

    async def verify(self, group: str, name: str, *, any_copy: bool = False) -> list[str]:
        await self._called("verify")
        return []

    async def check_restore(self, group: str, name: str) -> None:
        await self._called("check_restore")

    async def restore(self, group: str, name: str) -> GroupCheckpoint:
        known = self._known(group)
        epoch = int(name.removeprefix("@"))
        await self._called("restore")
        known.pending = epoch
        self._settle(group)
        found = next(one for one in known.checkpoints if one.epoch == epoch)
        awaited = found.programs if known.pending else ()
        return replace(found, awaited=awaited)

    async def clone(
        self, group: str, name: str, new: str, members: Mapping[str, str]
    ) -> GroupCheckpoint:
        await self._called("clone")
        return self.adopt(group, int(name.removeprefix("@")), new, members)

    def adopt(self, group: str, epoch: int, new: str, names: Mapping[str, str]) -> GroupCheckpoint:
        """A copy as a new group."""
        of = next(one for one in self.groups[group].checkpoints if one.epoch == epoch)
        parts = tuple(replace(part, member=names[part.member]) for part in of.members)
        made = replace(of, group=new, epoch=1, members=parts)
        self.groups[new] = Group([made], head=1, pending=1)
        return made

    def attached(self, group: str) -> list[str]:
        """The members that are there, by the pods that are."""
        names = []
        for pod in self.api.pods():
            owner = pod["metadata"]["ownerReferences"][0]["name"]
            _, *others = [one["name"] for one in pod["spec"]["containers"]]
            name = pod["metadata"]["name"]
            if f"demo--{owner}" == group:
                names += [name, *(f"{name}--{other}" for other in others)]
        return names

    def checkpoint(self, group: str) -> None:
        """The application takes one itself."""
        known = self.groups[group]
        epoch = 1 + max(known.restore_epoch, *(one.epoch for one in known.checkpoints))
        known.checkpoints.append(taken(epoch=epoch, parent=known.head, name=f"own-{epoch}"))
        known.head = epoch

    def _settle(self, group: str) -> None:
        known = self.groups[group]
        if not known.pending:
            return
        target = next(one for one in known.checkpoints if one.epoch == known.pending)
        if set(target.programs) <= set(self.attached(group)):
            newest = max(one.epoch for one in known.checkpoints)
            known.head, known.pending = known.pending, 0
            known.restore_epoch = 1 + max(known.restore_epoch, newest)

    def _known(self, group: str) -> Group:
        if group not in self.groups:
            raise NotFoundError(f"no group {group}")
        return self.groups[group]

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.endless:
            self.stuck.set()
            await asyncio.Event().wait()
        if self.trouble.get(name):
            raise self.trouble[name].pop(0)


class FakeAgents:
    """One agent, that is always the one that is asked."""

    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent

    async def ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await work(self.agent)

    once = ask


def cluster(
    replicas: int = 2, rows: bool = True, **checkpoint: Any
) -> tuple[Site, FakeApi, FakeAgent]:
    """A set hz with a Checkpoint hz-1 (@41), that went on to @42 since."""
    api = FakeApi()
    api.put(kinds.NAMESPACE, {"metadata": {"name": "demo", "labels": {"memverge": "enabled"}}})
    live = api.put(kinds.STATEFUL_SET, stateful_set(replicas=replicas))
    first = taken(**checkpoint)
    told = [
        {"member": part.member, "pod": part.member, "container": "main", "engine": "process",
         "imageID": "sha256:1"}
        for part in first.members
    ]  # fmt: skip
    ready = [{"type": "Ready", "status": "True", "reason": "Committed"}]
    made: Manifest = {
        "metadata": {"name": "hz-1", "namespace": "demo"},
        "spec": {"group": GROUP, "epoch": 41, "template": template_of(live)},
        "status": {"conditions": ready},
    }
    if rows:
        made["status"]["members"] = told
    api.put(kinds.CHECKPOINT, made)
    agent = FakeAgent(api, {GROUP: Group([first], head=41)})
    agent.checkpoint(GROUP)
    agents: Any = FakeAgents(agent)
    known: Any = api
    return Site(known, agents, Turns(known)), api, agent
