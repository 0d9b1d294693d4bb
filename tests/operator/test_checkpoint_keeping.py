"""The fear: an object speaks of other bytes than it was made of, or bytes are never deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from mmsnap.errors import NotFoundError, PoolFullError
from mmsnap_operator import removal
from mmsnap_operator.checkpoints.debts import Debts
from mmsnap_operator.checkpoints.identity import require_same
from mmsnap_operator.checkpoints.keeping import Keeping
from mmsnap_operator.cluster import Api, ApiError, kinds
from mmsnap_operator.names import BYTES_FINALIZER, OWED_DELETIONS
from mmsnap_operator.requests import controller
from mmsnap_operator.surroundings import Surroundings
from mmsnap_sdk.service_records import GroupCheckpoint
from tests.operator.fake_site import FakeAgents, FakeApi, site_of, soon
from tests.operator.request_samples import request

OPERATOR = "memory-machine"
_REQUEST = kinds.CHECKPOINT_REQUEST


def cluster() -> tuple[FakeApi, FakeAgents, Keeping]:
    api, agents = FakeApi(), FakeAgents()
    return api, agents, Keeping(site_of(api, agents), OPERATOR)


def made_of(api: FakeApi, taken: GroupCheckpoint, **metadata: Any) -> dict[str, Any]:
    """A Checkpoint object of it, whose bytes go with it."""
    name = f"hz-{taken.name}"
    api.add(
        {
            "apiVersion": kinds.CHECKPOINT.api_version,
            "kind": "Checkpoint",
            "metadata": {
                "name": name,
                "namespace": "demo",
                "finalizers": [BYTES_FINALIZER],
                **metadata,
            },
            "spec": {
                "group": taken.group,
                "epoch": taken.epoch,
                "deletionPolicy": "Delete",
                "template": {"kind": "StatefulSet", "name": "hz"},
            },
            "status": {
                "name": taken.name,
                "members": [{"member": "hz-0", "copies": ["n1"]}],
            },
        }
    )
    return api.named(kinds.CHECKPOINT, name)


def ready(checkpoint: dict[str, Any]) -> str:
    told = {one["type"]: one["reason"] for one in checkpoint["status"]["conditions"]}
    return str(told["Ready"])


def deleted() -> str:
    return datetime.now(UTC).isoformat()


def owed(api: FakeApi) -> dict[str, str]:
    found = api.objects.get(("ConfigMap", OPERATOR, OWED_DELETIONS), {})
    data: dict[str, str] = found.get("data", {})
    return data


class TestAnotherCatalog:
    """Its epochs begin at 1 again."""

    def test_its_checkpoint_is_shown_as_the_one_that_is_gone(self) -> None:
        api, agents, keeping = cluster()
        checkpoint = made_of(api, agents.commit("before"))
        asyncio.run(keeping.look())
        assert ready(checkpoint) == "Committed"
        agents.catalog.clear()
        agents.commit("after")
        asyncio.run(Keeping(site_of(api, agents), OPERATOR).look())
        assert ready(checkpoint) == "BytesGone"
        assert not agents.catalog["demo--hz", 41].pinned

    def test_its_checkpoint_is_deleted(self) -> None:
        api, agents, keeping = cluster()
        checkpoint = made_of(api, agents.commit("before"), deletionTimestamp=deleted())
        agents.catalog.clear()
        agents.commit("after")
        asyncio.run(keeping.look())
        assert len(agents.catalog) == 1
        assert checkpoint["metadata"]["finalizers"] == []
        assert not owed(api)

    def test_its_checkpoint_is_owed(self) -> None:
        api, agents, _ = cluster()
        debts = Debts(site_of(api, agents), OPERATOR)

        async def work() -> None:
            await debts.owe("demo--hz", 41, "before")
            agents.commit("after")
            await debts.pay()

        asyncio.run(work())
        assert len(agents.catalog) == 1
        assert not owed(api)

    def test_its_checkpoint_is_restored(self) -> None:
        api, agents, _ = cluster()
        before = agents.commit("before")
        checkpoint = made_of(api, before)
        require_same(checkpoint, before)
        require_same({}, before)
        with pytest.raises(NotFoundError):
            require_same(checkpoint, replace(before, name="after"))

    def test_debts_outlive_the_volumes_of_the_catalog(self) -> None:
        machine = {
            "apiVersion": kinds.MEMORY_MACHINE.api_version,
            "kind": "MemoryMachine",
            "metadata": {
                "name": "mm",
                "namespace": OPERATOR,
                "creationTimestamp": "2026-11-23T10:15:02Z",
            },
        }
        api, agents, _ = cluster()
        api.add(machine)
        asyncio.run(Debts(site_of(api, agents), OPERATOR).owe("demo--hz", 41, "before"))
        assert owed(api)
        stored = api.named(kinds.MEMORY_MACHINE, "mm", OPERATOR)
        asyncio.run(removal.remove(cast("Api", api), Surroundings(OPERATOR), stored))
        assert not owed(api)


class TestDebts:
    def test_those_that_can_not_go_hold_up_the_others(self) -> None:
        api, agents, _ = cluster()
        debts = Debts(site_of(api, agents), OPERATOR)

        async def work() -> None:
            for number in range(30):
                made = agents.commit(f"c{number:02}", epoch=100 + number)
                await debts.owe(made.group, made.epoch, made.name)
            agents.kept = set(range(100, 125))
            for _ in range(200):
                await debts.pay()

        asyncio.run(work())
        assert len(owed(api)) == len(agents.catalog) == 25

    def test_pinned_one_is_owed_for_ever(self) -> None:
        api, agents, _ = cluster()
        made = agents.commit("pinned", pinned=True)
        debts = Debts(site_of(api, agents), OPERATOR)

        async def work() -> None:
            await debts.owe(made.group, made.epoch, made.name)
            await debts.pay()

        asyncio.run(work())
        assert not agents.catalog
        assert not owed(api)

    def test_head_is_forgotten(self) -> None:
        api, agents, keeping = cluster()
        made = agents.commit("head")
        agents.kept = {made.epoch}
        made_of(api, made, deletionTimestamp=deleted())
        asyncio.run(keeping.look())
        assert owed(api) == {"demo--hz.41": "head"}
        agents.kept.clear()
        asyncio.run(Keeping(site_of(api, agents), OPERATOR).look())
        assert not owed(api)
        assert not agents.catalog


class TestOneByOne:
    def test_copies_are_told_as_they_were_at_first(self) -> None:
        api, agents, keeping = cluster()
        made = agents.commit("one")
        checkpoint = made_of(api, made)
        parts = tuple(replace(part, copies=("n1", "n2")) for part in made.members)  # type: ignore[call-arg]
        agents.catalog["demo--hz", made.epoch] = replace(made, members=parts)
        asyncio.run(keeping.look())
        assert checkpoint["status"]["members"][0]["copies"] == ["n1", "n2"]

    def test_one_that_goes_wrong_holds_up_the_others(self) -> None:
        api, agents, keeping = cluster()
        wrong, good = agents.commit("a"), agents.commit("b")
        made_of(api, wrong)["spec"]["pinned"] = True
        checkpoint = made_of(api, good)

        async def full(group: str, name: str) -> None:
            raise PoolFullError("no room")

        agents.pin = full  # type: ignore[method-assign]
        assert asyncio.run(keeping.look()) is False
        assert ready(checkpoint) == "Committed"


class TestController:
    def requests(self, api: FakeApi) -> controller.Requests:
        made = controller.Requests(cast("Api", api), OPERATOR)
        made._agents.close = _nothing  # type: ignore[method-assign]
        return made

    def run_until(self, requests: controller.Requests, is_so: Callable[[], bool]) -> None:
        async def work() -> None:
            requests.start()
            try:
                await soon(is_so)
            finally:
                await requests.stop()

        asyncio.run(work())

    def test_deletion_that_takes_long_holds_up_requests(self) -> None:
        api = FakeApi()
        requests = self.requests(api)
        is_slow = asyncio.Event()

        async def slow() -> bool:
            is_slow.set()
            await asyncio.sleep(3600)
            return True

        requests._keeping.look = slow  # type: ignore[method-assign]

        def other_is_looked_at() -> bool:
            if is_slow.is_set() and ("CheckpointRequest", "demo", "one") not in api.objects:
                api.add(request())
                requests.wake()
            return any(one["metadata"].get("finalizers") for one in api.all(_REQUEST))

        self.run_until(requests, other_is_looked_at)

    def test_request_that_goes_wrong_holds_up_the_others(self) -> None:
        api = FakeApi()
        for name in ("a", "b"):
            each = request(uid=name)
            each["metadata"]["name"] = name
            api.add(each)
        patch = api.patch

        async def refused(kind: kinds.Kind, name: str, *rest: Any) -> Any:
            if name == "a":
                raise ApiError(422, "it is not valid")
            return await patch(kind, name, *rest)

        api.patch = refused  # type: ignore[method-assign]
        other = api.named(kinds.CHECKPOINT_REQUEST, "b")
        self.run_until(self.requests(api), lambda: bool(other["metadata"].get("finalizers")))


async def _nothing() -> None:
    """A close of nothing."""
