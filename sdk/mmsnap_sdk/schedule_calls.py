"""The calls about schedules, as `calls` has the others: what is sent, and what answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mmsnap.quantities import parse_duration
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from mmsnap_sdk.calls import Call, nothing
from mmsnap_sdk.checkpoint import DURABILITIES, Durability
from mmsnap_sdk.service_records import Schedule

Duration = timedelta | str


def set_schedule(
    group: str,
    every: Duration,
    keep_last: int | None,
    keep_within: Duration | None,
    wait: Durability,
    timeout: Duration | None,
    max_pause: Duration | None,
    replicas: int,
    labels: Mapping[str, str] | None,
    suspended: bool,
) -> Call[Schedule]:
    if wait not in DURABILITIES:
        raise ValueError(f"wait is one of {', '.join(DURABILITIES)}, not {wait!r}")
    if keep_last is not None and keep_last < 1:
        raise ValueError(f"keep_last is at least 1, not {keep_last}")
    schedule = pb.Schedule(
        group=group,
        every_ns=parse_duration(every),
        keep_last=keep_last,
        keep_within_ns=None if keep_within is None else parse_duration(keep_within),
        wait=wait,
        timeout_ns=0 if timeout is None else parse_duration(timeout),
        max_pause_ns=0 if max_pause is None else parse_duration(max_pause),
        replicas=replicas,
        labels=labels or {},
        suspended=suspended,
    )
    request = pb.SetScheduleRequest(schedule=schedule)
    return Call("SetSchedule", request, lambda reply: _schedule(reply.schedule))


def schedules(group: str | None) -> Call[list[Schedule]]:
    request = pb.ListSchedulesRequest(group=group or "")
    return Call(
        "ListSchedules", request, lambda reply: [_schedule(each) for each in reply.schedules]
    )


def remove_schedule(group: str) -> Call[None]:
    return Call("RemoveSchedule", pb.RemoveScheduleRequest(group=group), nothing)


def _schedule(message: pb.Schedule) -> Schedule:
    success_ns = message.last_success_ns
    within = message.HasField("keep_within_ns")
    return Schedule(
        group=message.group,
        every=_duration(message.every_ns),
        keep_last=message.keep_last if message.HasField("keep_last") else None,
        keep_within=_duration(message.keep_within_ns) if within else None,
        wait=next((known for known in DURABILITIES if known == message.wait), "captured"),
        timeout=_duration(message.timeout_ns) if message.timeout_ns else None,
        max_pause=_duration(message.max_pause_ns) if message.max_pause_ns else None,
        replicas=message.replicas,
        labels=dict(message.labels),
        suspended=message.suspended,
        waiting=message.waiting,
        node=message.node,
        consecutive_failures=message.consecutive_failures,
        last_error=message.last_error,
        last_checkpoint=message.last_checkpoint,
        last_success=datetime.fromtimestamp(success_ns / 1e9, UTC) if success_ns else None,
    )


def _duration(duration_ns: int) -> timedelta:
    return timedelta(microseconds=duration_ns / 1000)
