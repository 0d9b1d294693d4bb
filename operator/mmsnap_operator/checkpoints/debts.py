"""Bytes whose Checkpoint object is gone, that are to be deleted as soon as the agents let them go.

The head of a group can not be deleted: a restart would show it. It can once a later checkpoint was
taken. Until then it is written down in a ConfigMap beside the operator.
"""

from __future__ import annotations

import logging
import random
from typing import Final

from mmsnap.errors import AgentUnavailableError, MmsnapError, NotFoundError
from mmsnap_operator.checkpoints.identity import delete_bytes
from mmsnap_operator.cluster import kinds
from mmsnap_operator.names import MANAGED_BY_LABEL, OPERATOR, OWED_DELETIONS
from mmsnap_operator.requests.site import Site

log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 20


class Debts:
    """Of one operator; `namespace` is its own."""

    def __init__(self, site: Site, namespace: str) -> None:
        """Nothing is read yet."""
        self._site = site
        self._namespace = namespace

    async def owe(self, group: str, epoch: int, name: str) -> None:
        """Write it down; the name tells it from what a later catalog has under its number."""
        await self._write({**await self._read(), f"{group}.{epoch}": name})

    async def pay(self) -> None:
        """Delete what can be deleted by now; AgentUnavailableError.

        A few of them, and not always the same: those that can not go yet hold up no others.
        """
        owed = await self._read()
        left = dict(owed)
        for key in random.sample(sorted(owed), min(len(owed), _MOST_AT_ONCE)):
            group, _, epoch = key.rpartition(".")
            if await self._paid(group, epoch, owed[key]):
                del left[key]
        if left != owed:
            await self._write(left)

    async def _paid(self, group: str, epoch: str, name: str) -> bool:
        try:
            await self._site.agents.ask(
                lambda client: delete_bytes(client, group, int(epoch), name)
            )
        except NotFoundError:
            return True
        except AgentUnavailableError:
            raise
        except (MmsnapError, ValueError) as error:
            log.debug("%s @%s: %s", group, epoch, error)
            return False
        return True

    async def _read(self) -> dict[str, str]:
        found = await self._site.api.get(kinds.CONFIG_MAP, OWED_DELETIONS, self._namespace)
        known: dict[str, str] = (found or {}).get("data") or {}
        return known

    async def _write(self, owed: dict[str, str]) -> None:
        if not owed:
            await self._site.api.delete(kinds.CONFIG_MAP, OWED_DELETIONS, self._namespace)
            return
        await self._site.api.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": OWED_DELETIONS,
                    "namespace": self._namespace,
                    "labels": {MANAGED_BY_LABEL: OPERATOR},
                },
                "data": owed,
            }
        )
