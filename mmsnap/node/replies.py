"""Records of the catalog and of the service as messages of mmsnap.v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mmsnap.catalog import (
    Copies,
    EngineKind,
    GroupCheckpoint,
    GroupRecord,
    MemberRecord,
    MemberState,
    NodeRecord,
    OnLoss,
    ScheduleOutcome,
    ScheduleRecord,
    durability,
)
from mmsnap.node.events import Event
from mmsnap.node.seats import Seat, Standing
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from mmsnap.store import region_name

_RULES: Final[Mapping[int, OnLoss]] = {
    pb.ON_LOSS_UNSPECIFIED: OnLoss.ROLLBACK,
    pb.ON_LOSS_ROLLBACK: OnLoss.ROLLBACK,
    pb.ON_LOSS_WAIT: OnLoss.WAIT,
    pb.ON_LOSS_FRESH: OnLoss.FRESH,
}
_ON_LOSS: Final = {
    OnLoss.ROLLBACK: pb.ON_LOSS_ROLLBACK,
    OnLoss.WAIT: pb.ON_LOSS_WAIT,
    OnLoss.FRESH: pb.ON_LOSS_FRESH,
}
_KINDS: Final[Mapping[int, EngineKind]] = {
    pb.ENGINE_UNSPECIFIED: EngineKind.MEMORY,
    pb.ENGINE_MEMORY: EngineKind.MEMORY,
    pb.ENGINE_PROCESS: EngineKind.PROCESS,
}
_ENGINES: Final[dict[EngineKind, pb.Engine]] = {
    EngineKind.MEMORY: pb.ENGINE_MEMORY,
    EngineKind.PROCESS: pb.ENGINE_PROCESS,
}
_STATES: Final = {
    MemberState.ATTACHED: pb.MEMBER_STATE_LOST,  # by the catalog, but it has no seat
    MemberState.LOST: pb.MEMBER_STATE_LOST,
    MemberState.LEFT: pb.MEMBER_STATE_LEFT,
}

# As people read them.
STATE_NAMES: Final[dict[int, str]] = {
    number: name.removeprefix("MEMBER_STATE_").lower()
    for name, number in pb.MemberState.items()
    if number != pb.MEMBER_STATE_UNSPECIFIED
}


def checkpoint_reply(
    checkpoint: GroupCheckpoint,
    head_epoch: int | None,
    copies: Copies | None = None,
    nodes: Mapping[str, NodeRecord] | None = None,
    group: GroupRecord | None = None,
) -> pb.Checkpoint:
    """A checkpoint with its members' figures; `copies` where there are several nodes.

    `group`: tells too what is being restored there.
    """
    holders = copies.nodes if copies is not None else {}
    return pb.Checkpoint(
        group=checkpoint.group,
        epoch=checkpoint.epoch,
        name=checkpoint.name,
        parent_epoch=checkpoint.parent_epoch,
        created_ns=checkpoint.created_ns,
        pause_ns=checkpoint.pause_ns,
        held_ns=checkpoint.held_ns,
        hook_ns=checkpoint.hook_ns,
        bytes_written=checkpoint.bytes_written,
        consistency=checkpoint.consistency,
        durability=durability(checkpoint, copies, nodes or {}),
        automatic=checkpoint.automatic,
        pinned=checkpoint.pinned,
        head=checkpoint.epoch == head_epoch,
        labels=checkpoint.labels,
        replicas=checkpoint.replicas,
        pending=group is not None and group.pending_epoch == checkpoint.epoch,
        restore_epoch=group.restore_epoch if group is not None else 0,
        members=[
            pb.MemberCheckpoint(
                member=part.member,
                pause_ns=part.pause_ns,
                waited_ns=part.waited_ns,
                hook_ns=part.hook_ns,
                skew_ns=part.skew_ns,
                bytes_written=part.bytes_written,
                crash_only=part.crash_only,
                engine=_ENGINES[part.engine],
                freeze_ns=part.freeze_ns,
                dump_ns=part.dump_ns,
                thaw_ns=part.thaw_ns,
                node=part.node,
                copies=holders.get(part.member, ()),
            )
            for part in checkpoint.members
        ],
    )


def member_state(row: MemberRecord, seat: Seat | None) -> pb.MemberState:
    """How it is with a member of this node."""
    if seat is None:
        return _STATES[row.state]
    seated = seat.standing is Standing.SEATED
    return pb.MEMBER_STATE_ATTACHED if seated else pb.MEMBER_STATE_JOINING


def member_reply(
    row: MemberRecord, seat: Seat | None, head_epoch: int | None, node: str
) -> pb.Member:
    """A member as the catalog knows it, with the process in its seat if it is of this `node`."""
    state = member_state(row, seat)
    if row.node != node and row.state is MemberState.ATTACHED:
        state = pb.MEMBER_STATE_ATTACHED  # for all that is known here
    return pb.Member(
        group=row.group,
        member=row.name,
        region=region_name(row.group, row.name),
        state=state,
        on_loss=_ON_LOSS[row.on_loss],
        pid=seat.pid if seat is not None else 0,
        size_bytes=row.size_bytes,
        head_epoch=head_epoch,
        engine=_ENGINES[row.engine],
        node=row.node,
    )


def schedule_reply(
    schedule: ScheduleRecord, outcome: ScheduleOutcome, *, waiting: bool
) -> pb.Schedule:
    """A schedule and how its last runs went; `waiting`: for a restore of the group."""
    return pb.Schedule(
        group=schedule.group,
        every_ns=schedule.every_ns,
        keep_last=schedule.retention.keep_last,
        keep_within_ns=schedule.retention.keep_within_ns,
        wait=schedule.wait,
        timeout_ns=schedule.timeout_ns,
        max_pause_ns=schedule.max_pause_ns,
        replicas=schedule.replicas,
        labels=schedule.labels,
        suspended=schedule.suspended,
        node=schedule.node,
        consecutive_failures=outcome.failures,
        last_error=outcome.error,
        last_checkpoint=outcome.checkpoint,
        last_success_ns=outcome.success_ns,
        waiting=waiting,
    )


def event_reply(event: Event, here: str) -> pb.WatchResponse:
    """An event; one that names no node happened `here`."""
    return pb.WatchResponse(
        at_ns=event.at_ns,
        kind=event.kind,
        group=event.group,
        member=event.member,
        epoch=event.epoch,
        text=event.text,
        node=event.node or here,
    )


def event_of(reply: pb.WatchResponse, node: str) -> Event:
    """The event that another node told of."""
    return Event(
        kind=reply.kind,
        group=reply.group,
        member=reply.member,
        epoch=reply.epoch,
        text=reply.text,
        at_ns=reply.at_ns,
        node=node,
    )


def engine_number(engine: EngineKind) -> pb.Engine:
    """As the wire has it."""
    return _ENGINES[engine]


def engine_of(number: int) -> EngineKind:
    """From the wire; ValueError."""
    if number not in _KINDS:
        raise ValueError(f"{number} is no engine")
    return _KINDS[number]


def on_loss_of(number: int) -> OnLoss:
    """From the wire; ValueError."""
    if number not in _RULES:
        raise ValueError(f"{number} says nothing of what is done when a member is lost")
    return _RULES[number]
