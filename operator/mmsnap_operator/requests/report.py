"""What a request says of itself: its conditions, in the order of events, and events.

`Complete` is there from the beginning and says why it is not so yet. `Failed` comes only when it
is, so that `kubectl wait` can wait for either.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mmsnap_operator.cluster import Api, Kind
from mmsnap_operator.cluster.events import announce
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.requests.ending import COMPLETE, FAILED, as_text, condition, now
from mmsnap_operator.requests.status import write_status

log = logging.getLogger(__name__)


class Report:
    """The status of one request, as it was read and as it becomes."""

    def __init__(self, api: Api, kind: Kind, manifest: Mapping[str, Any]) -> None:
        """Nothing is written yet."""
        self._api = api
        self._kind = kind
        self.manifest: dict[str, Any] = {
            **manifest,
            "apiVersion": kind.api_version,
            "kind": kind.name,
        }

    @property
    def status(self) -> Mapping[str, Any]:
        """What it says now."""
        return self.manifest.get("status") or {}

    async def under_way(self, reason: str, message: str, *more: Condition, **fields: Any) -> None:
        """It goes on."""
        await self._write([Condition(COMPLETE, False, reason, message), *more], fields)

    async def complete(self, reason: str, message: str, *more: Condition, **fields: Any) -> None:
        """It is over, and well."""
        fields["completionTime"] = as_text(now())
        await self._write([Condition(COMPLETE, True, reason, message), *more], fields)
        await announce(self._api, self.manifest, reason, message)

    async def failed(self, reason: str, message: str, *more: Condition, **fields: Any) -> None:
        """It is over, and nothing came of it."""
        log.warning("%s %s: %s: %s", self._kind.name, self._name, reason, message)
        fields["completionTime"] = as_text(now())
        conditions = [
            Condition(COMPLETE, False, reason, message),
            Condition(FAILED, True, reason, message),
            *more,
        ]
        await self._write(conditions, fields)
        await announce(self._api, self.manifest, reason, message, warning=True)

    @property
    def _name(self) -> str:
        metadata = self.manifest["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    async def _write(self, conditions: list[Condition], fields: Mapping[str, Any]) -> None:
        self.manifest["status"] = await write_status(
            self._api, self._kind, self.manifest, conditions, fields
        )

    def said(self, kind: str) -> Mapping[str, Any]:
        """A condition as it was written last."""
        return condition(self.manifest, kind)
