"""The fear: another storage class is asked for, and etcd waits for one that is not there for ever;
or volumes with the catalog in them are made anew."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from typing import Any, cast

import pytest

from mmsnap_operator.cluster import Api, ApiError, Kind, kinds
from mmsnap_operator.etcd_set import apply_set
from tests.operator.fake_site import FakeApi

Manifest = dict[str, Any]

NAMESPACE = "mm"
CLAIM = "data-etcd-0"
DEFAULT = "standard"


class EtcdCluster(FakeApi):
    """With a controller of sets, which makes claims that are missing, at the worst moment too."""

    def __init__(self) -> None:
        super().__init__()
        self.is_late = False
        self._seen_last: Manifest | None = None
        self.add({"kind": kinds.STORAGE_CLASS.name, "metadata": {"name": DEFAULT}})

    async def apply(self, manifest: Manifest) -> Manifest:
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        live = self.objects.get((kinds.STATEFUL_SET.name, namespace, name))
        if live is not None and _template(live) != _template(manifest):
            raise ApiError(422, "Forbidden: updates to statefulset spec")
        return await super().apply(manifest)

    async def delete(self, kind: Kind, name: str, namespace: str = "") -> bool:
        if kind == kinds.STATEFUL_SET:
            self._seen_last = copy.deepcopy(self.named(kind, name, namespace))
        gone = await super().delete(kind, name, namespace)
        if kind == kinds.VOLUME_CLAIM:
            self.control()
        if kind == kinds.POD and self._seen_last is not None and self.is_late:
            self.is_late = False
            self._claim(self._seen_last)
        return gone

    def control(self) -> None:
        """What the controller does in between."""
        for live in self.all(kinds.STATEFUL_SET):
            self._claim(live)

    def _claim(self, live: Mapping[str, Any]) -> None:
        if (kinds.VOLUME_CLAIM.name, NAMESPACE, CLAIM) in self.objects:
            return
        spec = {"storageClassName": _template(live).get("storageClassName", DEFAULT)}
        metadata = {"name": CLAIM, "namespace": NAMESPACE}
        pending = {"phase": "Pending"}
        self.add({"metadata": metadata, "spec": spec, "status": pending}, kinds.VOLUME_CLAIM.name)

    def bind(self) -> None:
        self.named(kinds.VOLUME_CLAIM, CLAIM, NAMESPACE)["status"] = {"phase": "Bound"}

    @property
    def storage_class(self) -> str:
        claim = self.named(kinds.VOLUME_CLAIM, CLAIM, NAMESPACE)
        return str(claim["spec"]["storageClassName"])


def _template(manifest: Mapping[str, Any]) -> Manifest:
    return cast("Manifest", manifest["spec"]["volumeClaimTemplates"][0]["spec"])


def etcd(storage_class: str = "") -> Manifest:
    spec = {"storageClassName": storage_class} if storage_class else {}
    return {
        "apiVersion": "apps/v1",
        "kind": kinds.STATEFUL_SET.name,
        "metadata": {"name": "etcd", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"app": "etcd"}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": spec}],
        },
    }


def runs(api: EtcdCluster, wanted: Manifest, count: int = 3) -> None:
    for _ in range(count):
        asyncio.run(apply_set(cast("Api", api), wanted))
        api.control()


@pytest.fixture
def api() -> EtcdCluster:
    return EtcdCluster()


@pytest.mark.parametrize("wanted", ["other", ""])
def test_another_class_cures_one_that_is_not_there(api: EtcdCluster, wanted: str) -> None:
    runs(api, etcd("missing"))
    assert api.storage_class == "missing"
    runs(api, etcd(wanted))
    assert api.storage_class == (wanted or DEFAULT)


def test_a_controller_that_was_quicker_is_found_out(api: EtcdCluster) -> None:
    runs(api, etcd("missing"))
    api.add({"kind": "Pod", "metadata": {"name": "etcd-0", "namespace": NAMESPACE}})
    api.is_late = True
    runs(api, etcd("other"))
    assert not api.is_late
    assert api.storage_class == "other"


def test_a_claim_that_an_older_set_left_waiting_is_not_waited_for(api: EtcdCluster) -> None:
    runs(api, etcd("missing"))
    asyncio.run(api.delete(kinds.STATEFUL_SET, "etcd", NAMESPACE))
    runs(api, etcd())
    assert api.storage_class == DEFAULT


@pytest.mark.parametrize("wanted", ["other", ""])
def test_volumes_with_data_are_never_made_anew(api: EtcdCluster, wanted: str) -> None:
    runs(api, etcd("kept"))
    api.bind()
    runs(api, etcd(wanted))
    assert api.storage_class == "kept"
    assert _template(api.named(kinds.STATEFUL_SET, "etcd", NAMESPACE)) == {
        "storageClassName": "kept"
    }


def test_volumes_that_wait_for_their_first_pod_are_left_alone(api: EtcdCluster) -> None:
    for storage_class in ("other", ""):
        runs(api, etcd(storage_class))
        before = api.named(kinds.VOLUME_CLAIM, CLAIM, NAMESPACE)
        runs(api, etcd(storage_class))
        assert api.named(kinds.VOLUME_CLAIM, CLAIM, NAMESPACE) is before
