"""What nobody looked at when it was made is not carried out, however long it waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mmsnap_operator.admission.admitted import require_admitted
from mmsnap_operator.cluster import Kind, kinds
from mmsnap_operator.names import WEBHOOK
from mmsnap_operator.requests.controller import Requests
from mmsnap_operator.workloads.refusals import Refused

Manifest = dict[str, Any]

INSTALLED = "2026-06-01T12:00:00Z"


def restore(made: str, **status: Any) -> Manifest:
    return {
        "metadata": {
            "name": "back", "namespace": "staging", "uid": "r1", "creationTimestamp": made,
            "resourceVersion": "1",
        },
        "spec": {
            "source": {"checkpointName": "shared", "namespace": "demo"},
            "strategy": "Clone",
            "target": {"kind": "StatefulSet", "name": "copy"},
        },
        "status": status,
    }  # fmt: skip


class Server:
    """An API server that has asked about requests since then; None: it does not."""

    def __init__(self, since: str | None) -> None:
        self.since = since
        self.patched: list[Manifest] = []

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        assert (kind, name) == (kinds.VALIDATION, WEBHOOK)
        return None if self.since is None else {"metadata": {"creationTimestamp": self.since}}

    async def patch(self, kind: Kind, name: str, *rest: Any) -> Manifest:
        self.patched.append(rest[1])
        return {"status": {}}

    async def create(self, manifest: Manifest) -> Manifest:
        return manifest


@pytest.mark.parametrize(
    ("since", "made"),
    [
        (INSTALLED, "2026-06-01T11:59:59Z"),
        (INSTALLED, INSTALLED),
        # It takes API servers a moment to hear of it.
        (INSTALLED, "2026-06-01T12:00:04Z"),
        (None, "2026-06-01T11:59:59Z"),
    ],
)
def test_a_restore_of_before_anybody_was_asked_fails_and_is_not_begun(
    since: str | None, made: str
) -> None:
    server: Any = Server(since)

    async def look() -> None:
        requests = Requests(server, "memverge")
        await requests._look(kinds.RESTORE_REQUEST, restore(made))
        assert requests._tasks == {}

    asyncio.run(look())
    (patch,) = server.patched
    told = {one["type"]: one for one in patch["status"]["conditions"]}
    assert (told["Failed"]["status"], told["Failed"]["reason"]) == ("True", "NotAdmitted")


def test_a_restore_that_was_looked_at_goes_on() -> None:
    server: Any = Server(INSTALLED)
    asyncio.run(require_admitted(server, restore("2026-06-01T12:00:05Z")))


def test_one_that_is_under_way_goes_on_also_when_the_webhook_was_made_anew() -> None:
    server: Any = Server(INSTALLED)
    begun = restore("2026-06-01T11:00:00Z", conditions=[{"type": "Complete", "status": "False"}])
    asyncio.run(require_admitted(server, begun))
    del begun["status"]["conditions"]
    with pytest.raises(Refused, match="make it again"):
        asyncio.run(require_admitted(server, begun))
