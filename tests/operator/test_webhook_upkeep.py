"""What the API server is told holds, whatever MemoryMachines come and go, and whatever fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mmsnap_operator.cluster import ApiError, Kind, kinds
from mmsnap_operator.cluster.kinds import kind_of
from mmsnap_operator.names import OPERATOR, WEBHOOK
from mmsnap_operator.pod_webhook import PodWebhook
from mmsnap_operator.requests.site import Site
from mmsnap_operator.webhook.registration import ServicePlace
from mmsnap_operator.webhook.settings import Current, Settings
from mmsnap_operator.webhook.upkeep import Upkeep

Manifest = dict[str, Any]

MACHINE: Manifest = {
    "metadata": {
        "name": "memorymachine",
        "namespace": "memverge",
        "uid": "m1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {},
}
ROLE: Manifest = {"metadata": {"name": OPERATOR, "uid": "role-uid"}}


class Server:
    """An API server that keeps what it is given, and fails when it is told to."""

    def __init__(self, *there: tuple[Kind, Manifest]) -> None:
        self.kept = {(kind, one["metadata"]["name"]): one for kind, one in there}
        self.failing = False

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        return self.kept.get((kind, name))

    async def list(self, kind: Kind, *_: Any) -> list[Manifest]:
        return [one for (known, _), one in self.kept.items() if known == kind]

    async def apply(self, manifest: Manifest) -> Manifest:
        if self.failing:
            raise ApiError(500, "etcd is away")
        manifest["metadata"].setdefault("resourceVersion", "1")
        self.kept[kind_of(manifest), manifest["metadata"]["name"]] = manifest
        return manifest

    create = apply

    async def delete(self, kind: Kind, name: str, namespace: str = "") -> bool:
        if self.failing:
            raise ApiError(500, "etcd is away")
        return self.kept.pop((kind, name), None) is not None


class Serving:
    """A server of the webhook that shows nobody what it was given."""

    def use(self, pair: Any) -> None:
        """Nobody asks here."""


def upkeep(server: Any, current: Current) -> Upkeep:
    serving: Any = Serving()
    return Upkeep(server, serving, current, ServicePlace(WEBHOOK, "memverge"), "memverge")


@pytest.mark.parametrize("settings", [None, Settings("image")])
def test_requests_are_asked_about_with_a_memorymachine_and_without(
    settings: Settings | None,
) -> None:
    """What nobody looked at would be carried out with the next MemoryMachine."""
    server = Server((kinds.CLUSTER_ROLE, ROLE), (kinds.WEBHOOK, {"metadata": {"name": WEBHOOK}}))
    asyncio.run(upkeep(server, Current(settings, known=True)).keep())
    (hook,) = server.kept[kinds.VALIDATION, WEBHOOK]["webhooks"]
    assert hook["failurePolicy"] == "Fail"
    assert ((kinds.WEBHOOK, WEBHOOK) in server.kept) == (settings is not None)


def test_before_the_operator_has_looked_nothing_is_changed() -> None:
    server = Server((kinds.CLUSTER_ROLE, ROLE), (kinds.WEBHOOK, {"metadata": {"name": WEBHOOK}}))
    asyncio.run(upkeep(server, Current()).keep())
    assert (kinds.WEBHOOK, WEBHOOK) in server.kept


def test_it_goes_with_the_installation_and_deletions_are_never_asked_about() -> None:
    """Else nobody could clear up after an operator that is gone."""
    server = Server((kinds.CLUSTER_ROLE, ROLE))
    asyncio.run(upkeep(server, Current(None, known=True)).keep())
    made = server.kept[kinds.VALIDATION, WEBHOOK]
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "name": OPERATOR,
            "uid": "role-uid",
        }
    ]
    asked = {word for rule in made["webhooks"][0]["rules"] for word in rule["operations"]}
    assert "DELETE" not in asked
    assert "*" not in asked


@pytest.mark.parametrize("there", [True, False])
def test_a_registration_that_failed_is_tried_again_though_nothing_changed(there: bool) -> None:
    """Else a MemoryMachine goes, and a hook that fails closed stays without anybody behind it."""
    server = Server((kinds.CLUSTER_ROLE, ROLE), (kinds.WEBHOOK, {"metadata": {"name": WEBHOOK}}))
    if there:
        server.kept[kinds.MEMORY_MACHINE, "memorymachine"] = MACHINE

    async def look_twice() -> None:
        api: Any = server
        nobody: Any = None
        webhook = PodWebhook(Site(api, nobody, nobody), "memverge")
        server.failing = True
        with pytest.raises(ApiError):
            await webhook.look()
        server.failing = False
        await webhook.look()

    asyncio.run(look_twice())
    assert (kinds.VALIDATION, WEBHOOK) in server.kept
    assert ((kinds.WEBHOOK, WEBHOOK) in server.kept) == there
