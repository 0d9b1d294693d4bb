"""The gRPC methods about schedules: a part of `service`, which has the rest.

What is set is kept in the catalog and told to nobody else: whichever node runs it looks there.
"""

from __future__ import annotations

from typing import Any

from mmsnap.catalog import ScheduleOutcome, ScheduleRecord
from mmsnap.node import bounds
from mmsnap.node.callers import Context
from mmsnap.node.desk import Desk
from mmsnap.node.ledger import Ledger
from mmsnap.node.methods import unary
from mmsnap.node.replies import schedule_reply
from mmsnap.retention import Retention
from mmsnap.rpc.v1 import mmsnap_pb2 as pb

KEEP_LAST_BY_DEFAULT = 10


class ScheduleMethods:
    """What `AgentService` has of them."""

    _desk: Desk
    _ledger: Ledger

    def require(self, method: str, request: Any, context: Context) -> None:
        raise NotImplementedError

    async def _known(self, name: str) -> str:
        raise NotImplementedError

    def _replicas(self, asked: int, waited_for: str) -> int:
        raise NotImplementedError

    @unary
    async def SetSchedule(  # noqa: N802
        self, request: pb.SetScheduleRequest
    ) -> pb.SetScheduleResponse:
        asked = request.schedule
        wait = bounds.check_durability(asked.wait)
        schedule = ScheduleRecord(
            group=await self._known(asked.group),
            every_ns=bounds.check_every_ns(asked.every_ns),
            retention=_retention(asked),
            wait=wait,
            timeout_ns=bounds.check_duration_ns("timeout", asked.timeout_ns),
            max_pause_ns=bounds.check_duration_ns("max_pause", asked.max_pause_ns),
            replicas=self._replicas(asked.replicas, wait),
            labels=bounds.check_labels(asked.labels),
            suspended=asked.suspended,
        )
        await self._ledger.ask(self._ledger.catalog.put_schedule, schedule)
        self._desk.schedules_changed.set()
        return pb.SetScheduleResponse(schedule=(await self._scheduled(schedule.group))[0])

    @unary
    async def ListSchedules(  # noqa: N802
        self, request: pb.ListSchedulesRequest
    ) -> pb.ListSchedulesResponse:
        wanted = bounds.check_optional_group(request.group)
        if wanted is not None:
            await self._known(wanted)
        return pb.ListSchedulesResponse(schedules=await self._scheduled(wanted))

    @unary
    async def RemoveSchedule(  # noqa: N802
        self, request: pb.RemoveScheduleRequest
    ) -> pb.RemoveScheduleResponse:
        group = await self._known(request.group)
        await self._ledger.ask(self._ledger.catalog.drop_schedule, group)
        self._desk.schedules_changed.set()
        return pb.RemoveScheduleResponse()

    async def _scheduled(self, group: str | None) -> list[pb.Schedule]:
        catalog = self._ledger.catalog
        schedules = await self._ledger.ask(catalog.schedules, group)
        outcomes = await self._ledger.ask(catalog.schedule_outcomes, group)
        pending = {
            record.name: bool(record.pending_epoch)
            for record in await self._ledger.ask(catalog.groups)
        }
        return [
            schedule_reply(
                each,
                outcomes.get(each.group, ScheduleOutcome()),
                waiting=pending.get(each.group, False),
            )
            for each in schedules
        ]


def _retention(asked: pb.Schedule) -> Retention:
    keep_last = asked.keep_last if asked.HasField("keep_last") else None
    keep_within_ns = asked.keep_within_ns if asked.HasField("keep_within_ns") else None
    if keep_last == 0:
        raise ValueError("a schedule keeps at least its last checkpoint: keep_last is not 0")
    if keep_last is None and keep_within_ns is None:
        keep_last = KEEP_LAST_BY_DEFAULT
    return Retention(keep_last, keep_within_ns)
