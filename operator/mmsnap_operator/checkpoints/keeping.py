"""Checkpoint objects and the catalog kept at one: pins, what is there, and what is to be deleted.

An object never brings bytes into being, and bytes without an object stay: whoever restores asks the
catalog. What the catalog does not let go of yet (a restart would show it) is owed, see `debts`.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from mmsnap.errors import AgentUnavailableError, MmsnapError, NotFoundError
from mmsnap_operator.checkpoints.debts import Debts
from mmsnap_operator.checkpoints.identity import delete_bytes, identity, is_same, name_of
from mmsnap_operator.checkpoints.ownership import is_own
from mmsnap_operator.checkpoints.record import conditions_of, members_now
from mmsnap_operator.checkpoints.recording import write_status
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_operator.cluster.events import announce
from mmsnap_operator.health.condition import Condition
from mmsnap_operator.names import BYTES_FINALIZER
from mmsnap_operator.requests.ending import condition, instant, is_finished, now
from mmsnap_operator.requests.failures import AGENT_ERRORS
from mmsnap_operator.requests.finalizers import hold, release
from mmsnap_operator.requests.site import Site
from mmsnap_sdk.service_records import GroupCheckpoint

log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]

CORRUPT: Final = "Corrupt"
_FOREIGN: Final = "its group is not that of the workload in its template, in its own namespace"
_LOOK_SECONDS: Final = 10.0
# So long a deletion waits for agents; then the bytes are owed, and a namespace can go.
_PATIENCE: Final = datetime.timedelta(seconds=30)


class Keeping:
    """Of one operator."""

    def __init__(self, site: Site, namespace: str) -> None:
        """Nothing is looked at yet."""
        self._site = site
        self._debts = Debts(site, namespace)
        self._looked = float("-inf")

    async def look(self) -> bool:
        """One look at all of them; False: not all of it went well. ApiError."""
        objects = [{**one, **_TYPE} for one in await self._site.api.list(kinds.CHECKPOINT)]
        restores = await self._site.api.list(kinds.RESTORE_REQUEST)
        well = True
        for one in objects:
            if one["metadata"].get("deletionTimestamp"):
                well &= await self._apart(one, self._delete(one, restores))
        moment = asyncio.get_running_loop().time()
        if moment - self._looked < _LOOK_SECONDS:
            return well
        self._looked = moment
        try:
            await self._debts.pay()
            if objects:
                catalog = await self._site.agents.ask(lambda client: client.checkpoints())
                known = {(one.group, one.epoch): one for one in catalog}
                for one in objects:
                    well &= await self._apart(one, self._mirror(one, known.get(identity(one))))
        except AGENT_ERRORS as error:
            log.info("checkpoints: %s", error)
        return well

    async def _apart(self, checkpoint: Manifest, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it went well; what goes wrong with one stops no other."""
        metadata = checkpoint["metadata"]
        try:
            await work
        except (ApiError, *AGENT_ERRORS) as error:
            log.warning("checkpoint %s/%s: %s", metadata["namespace"], metadata["name"], error)
            return False
        except Exception:
            log.exception("checkpoint %s/%s", metadata["namespace"], metadata["name"])
            return False
        return True

    # ---- those that are to stay ----

    async def _mirror(self, checkpoint: Manifest, taken: GroupCheckpoint | None) -> None:
        metadata = checkpoint["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        if not is_own(checkpoint):
            foreign = Condition("Ready", False, "ForeignGroup", _FOREIGN)
            await write_status(self._site.api, checkpoint, {}, [foreign])
            return
        if not await hold(self._site.api, kinds.CHECKPOINT, checkpoint, BYTES_FINALIZER):
            return
        if taken is None or not is_same(checkpoint, taken):
            await self._tell_gone(checkpoint)
            return
        wanted: bool = checkpoint["spec"].get("pinned", False)
        if wanted != taken.pinned:
            await self._pin(taken, wanted)
        conditions = conditions_of(taken)
        if condition(checkpoint, "Ready").get("reason") == CORRUPT:
            conditions = [one for one in conditions if one.type != "Ready"]
        fields: dict[str, Any] = {
            "name": taken.name,
            "durability": taken.durability.capitalize(),
        }
        if members := (checkpoint.get("status") or {}).get("members"):
            fields["members"] = members_now(members, taken)
        await write_status(self._site.api, checkpoint, fields, conditions)

    async def _tell_gone(self, checkpoint: Manifest) -> None:
        if condition(checkpoint, "Ready").get("reason") == "BytesGone":
            return
        words = "the agents do not have it any more: it was deleted or pruned, or its pool is lost"
        conditions = [
            Condition("Ready", False, "BytesGone", words),
            Condition("Durable", False, "BytesGone", words),
        ]
        await write_status(self._site.api, checkpoint, {}, conditions)
        await announce(self._site.api, checkpoint, "BytesGone", words, warning=True)

    async def _pin(self, taken: GroupCheckpoint, wanted: bool) -> None:
        at = f"@{taken.epoch}"

        async def pin(client: Any) -> None:
            await (client.pin(taken.group, at) if wanted else client.unpin(taken.group, at))

        try:
            await self._site.agents.ask(pin)
        except NotFoundError:
            log.info("%s @%d went before it was pinned", taken.group, taken.epoch)

    # ---- those that go ----

    async def _delete(self, checkpoint: Manifest, restores: Sequence[Manifest]) -> None:
        api = self._site.api
        if BYTES_FINALIZER not in (checkpoint["metadata"].get("finalizers") or ()):
            return
        reader = reader_of(checkpoint, restores)
        if reader is not None:
            name = reader["metadata"]["name"]
            words = f"deleted as soon as RestoreRequest {name} has read it"
            held = Condition("Ready", False, "BeingRead", words)
            await write_status(api, checkpoint, {}, [held])
            return
        deletes = checkpoint["spec"].get("deletionPolicy") == "Delete" and is_own(checkpoint)
        if deletes and not await self._forget(checkpoint):
            return
        await release(api, kinds.CHECKPOINT, checkpoint, BYTES_FINALIZER)

    async def _forget(self, checkpoint: Manifest) -> bool:
        """Delete the bytes, or owe it; False: look again."""
        group, epoch = identity(checkpoint)
        name = name_of(checkpoint)
        try:
            await self._site.agents.ask(lambda client: delete_bytes(client, group, epoch, name))
        except NotFoundError:
            log.info("%s @%d was not there any more", group, epoch)
        except AgentUnavailableError as error:
            since = instant(checkpoint["metadata"]["deletionTimestamp"])
            if now() - since < _PATIENCE:
                return False
            await self._owe(checkpoint, error.message)
        except (MmsnapError, ValueError) as error:
            await self._owe(checkpoint, str(error))
        return True

    async def _owe(self, checkpoint: Manifest, why: str) -> None:
        group, epoch = identity(checkpoint)
        await self._debts.owe(group, epoch, name_of(checkpoint))
        words = f"its bytes are deleted later: {why}"
        log.info("%s @%d: %s", group, epoch, words)
        await announce(self._site.api, checkpoint, "BytesKeptForNow", words)


_TYPE: Final = {"apiVersion": kinds.CHECKPOINT.api_version, "kind": kinds.CHECKPOINT.name}


def reader_of(checkpoint: Manifest, restores: Sequence[Manifest]) -> Manifest | None:
    """A restore that has begun with this checkpoint and has not ended."""
    for request in restores:
        status = request.get("status") or {}
        if is_finished(request) or not status.get("group"):
            continue
        if (status.get("sourceGroup"), status.get("epoch")) == identity(checkpoint):
            return request
    return None
